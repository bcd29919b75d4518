//! A configured plugin: a module of `plugins_dir` with settings, grants and limits.

use std::{ops::RangeInclusive, time::Duration};

use palisade_contract::OnError;

use crate::{
    Life, SharedSpace, duration,
    reference::References,
    settings,
    shared::Spaces,
    size,
    text::{Form, Value},
};

/// One `[plugin.NAME]` table.
#[derive(Debug, Clone, PartialEq)]
pub struct Plugin {
    /// The name that chains use.
    pub name: String,
    /// The file in `plugins_dir`, without `.wasm`. Holds no separator and does not start with a dot.
    pub module: String,
    /// What its failure means; by default filters fail closed, and a failing balancer falls back to the host's own pick.
    pub on_error: Option<OnError>,
    /// The capabilities that it may import beyond those that every plugin has; no repeats.
    pub grants: Vec<Capability>,
    /// The names of the upstreams that it may send requests to; with any, [`Capability::Fetch`] is among its grants.
    pub fetch: Vec<String>,
    /// What its `configure` is given: always an object.
    pub settings: serde_json::Value,
    /// How long its instances live.
    pub life: Life,
    /// What it shares state in, where [`Capability::Shared`] is granted.
    pub shared: SharedSpace,
    /// What it may use.
    pub limits: PluginLimits,
}

impl Plugin {
    /// A plugin with no settings, no grants and the default limits: for whoever embeds the engine.
    #[must_use]
    pub fn new(name: &str, module: &str) -> Self {
        Self {
            name: name.to_owned(),
            module: module.to_owned(),
            on_error: None,
            grants: Vec::new(),
            fetch: Vec::new(),
            settings: settings::none(),
            life: Life::default(),
            shared: SharedSpace::of(name),
            limits: PluginLimits::default(),
        }
    }

    pub(crate) fn read(
        (name, value): (&str, &Value<'_>),
        upstreams: &References<'_>,
        spaces: &mut Spaces,
    ) -> Option<Self> {
        let mut table = value.table("a plugin")?;
        let module = table.required("module", module);
        let on_error = table.optional("on_error", |value| value.choice("a policy", &POLICIES));
        let Granted { grants, fetch } = table.or("grant", Granted::default(), |value| Granted::read(&value, upstreams));
        let settings = table.optional("settings", settings::read).unwrap_or_else(settings::none);
        let life = Life::read(&mut table);
        let shared = SharedSpace::read(name, &mut table, &grants);
        if grants.contains(&Capability::Shared) {
            spaces.join(name, value, &shared);
        }
        let limits = table.or("limits", PluginLimits::default(), PluginLimits::read);
        table.finish();
        Some(Self { name: name.to_owned(), module: module?, on_error, grants, fetch, settings, life, shared, limits })
    }
}

fn module(value: Value<'_>) -> Option<String> {
    let text = value.text(MODULE)?;
    if text.ends_with(".wasm") {
        return value.refuse(format!("{} has its ending: expected the name without .wasm", value.found()));
    }
    let is_inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if text.is_empty() || text.len() > MODULE_BYTES_MAX || text.starts_with('.') || !text.chars().all(is_inner) {
        return value.is_not(MODULE);
    }
    Some(text.to_owned())
}

/// What a plugin is granted.
#[derive(Debug, Default)]
struct Granted {
    grants: Vec<Capability>,
    fetch: Vec<String>,
}

impl Granted {
    fn read(value: &Value<'_>, upstreams: &References<'_>) -> Option<Self> {
        let mut granted = Self::default();
        for element in value.list(GRANTS)? {
            if element.raw().as_str().is_some_and(|name| ALWAYS_GRANTED.contains(&name)) {
                element.warn(format!("{} is always granted", element.found()));
                continue;
            }
            let (capability, fetch) = if element.raw().is_table() {
                (Some(Capability::Fetch), fetched(&element, upstreams))
            } else {
                (simple(&element), Vec::new())
            };
            let Some(capability) = capability else { continue };
            if granted.grants.contains(&capability) {
                element.refuse::<()>(format!("{:?} is granted already", capability.name()));
            }
            granted.grants.push(capability);
            granted.fetch.extend(fetch);
        }
        Some(granted)
    }
}

/// A capability that is granted by its name alone.
fn simple(element: &Value<'_>) -> Option<Capability> {
    if element.raw().as_str() == Some(Capability::Fetch.name()) {
        return element.refuse("\"fetch\" needs upstreams: expected { fetch = [\"NAME\"] }");
    }
    let simple = Capability::ALL.into_iter().filter(|capability| *capability != Capability::Fetch);
    let choices: Vec<_> = simple.map(|capability| (capability.name(), capability)).collect();
    element.choice("a capability", &choices)
}

/// The upstreams that requests may be sent to.
fn fetched(element: &Value<'_>, upstreams: &References<'_>) -> Vec<String> {
    let Some(mut table) = element.table("a grant") else { return Vec::new() };
    let read = |value: Value<'_>| {
        let names = value.list(FETCHED)?;
        if names.is_empty() {
            return value.refuse(format!("names no upstream: expected {}", FETCHED.expected));
        }
        let found = names.iter().filter(|name| upstreams.find(name).is_some());
        Some(found.filter_map(|name| name.raw().as_str().map(str::to_owned)).collect())
    };
    let fetched = table.required("fetch", read);
    table.finish();
    fetched.unwrap_or_default()
}

const POLICIES: [(&str, OnError); 2] = [("closed", OnError::Closed), ("open", OnError::Open)];
/// The interfaces of the contract that every plugin may import.
const ALWAYS_GRANTED: [&str; 12] =
    ["setup", "timer", "fault", "names", "log", "clock", "random", "request", "response", "reply", "bodies", "body"];
const MODULE_BYTES_MAX: usize = 128;
const MODULE: Form = Form {
    noun: "a module",
    expected: "the name of a file in plugins_dir without .wasm: letters, digits, \".\", \"-\" and \"_\"",
};
const FETCHED: Form = Form { noun: "a list of upstreams", expected: "their names, such as [\"auth\"]" };
const GRANTS: Form = Form { noun: "a list", expected: "capabilities, such as [\"metrics\"]" };

/// Something that a plugin may import only if the config grants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Counters, gauges and histograms of its own.
    Metrics,
    /// Requests to upstreams.
    Fetch,
    /// Values and counters that all of its instances share.
    Shared,
    /// How clients came through TLS, and who they are by their certificates.
    Tls,
}

impl Capability {
    /// Every capability that can be granted.
    pub const ALL: [Self; 4] = [Self::Metrics, Self::Fetch, Self::Shared, Self::Tls];

    /// The name in the config, which is the name of the interface in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Fetch => "fetch",
            Self::Shared => "shared",
            Self::Tls => "tls",
        }
    }
}

/// What one instance of a plugin may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PluginLimits {
    /// Linear memory of one instance, in bytes: 64 KiB to 4 GiB.
    pub memory_bytes: usize,
    /// How long one call may take: 1 ms to 60 s.
    pub deadline: Duration,
    /// How long `configure` may take: 1 ms to 10 min.
    pub configure_deadline: Duration,
    /// Elements of all tables of one instance: 1 to 10,000,000.
    pub table_elements: usize,
    /// Core instances within the component: 1 to 1,000.
    pub instances: usize,
    /// Series of one metric: 1 to 1,000,000. Those beyond are counted as one.
    pub series: usize,
    /// With isolation by request: exchanges at a time that have an instance of their own on one worker, 1 to 100,000. Those
    /// beyond fail.
    pub exchanges: usize,
    /// The longest body that is buffered for it, and the most that it may put in place of one piece of a body: 1 KiB to
    /// 1 GiB.
    pub body_bytes: usize,
    /// Requests to upstreams that it may have under way, all workers together: 1 to 1,000,000.
    pub fetches: usize,
    /// The longest body of such a request, and of its answer: 1 B to 1 GiB.
    pub fetch_body_bytes: usize,
    /// How long one may take: 1 ms to 10 min.
    pub fetch_timeout: Duration,
    /// Bytes of bodies that are buffered for it at a time, on one worker: 1 KiB to 16 GiB.
    pub bodies_bytes: usize,
}

impl Default for PluginLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 32 << 20,
            deadline: Duration::from_millis(50),
            configure_deadline: Duration::from_secs(10),
            table_elements: 20_000,
            instances: 16,
            series: 1_000,
            exchanges: 256,
            body_bytes: 1 << 20,
            bodies_bytes: 64 << 20,
            fetches: 2_048,
            fetch_body_bytes: 1 << 20,
            fetch_timeout: Duration::from_secs(10),
        }
    }
}

impl PluginLimits {
    fn read(value: Value<'_>) -> Option<Self> {
        let default = Self::default();
        let (shortest, second) = (Duration::from_millis(1), Duration::from_secs(1));
        let mut table = value.table("a plugin's limits")?;
        let limits = Self {
            memory_bytes: table.or("memory", default.memory_bytes, |value| size::read(&value, MEMORY_BYTES)),
            deadline: table.or("deadline", default.deadline, |value| duration::read(&value, shortest..=60 * second)),
            configure_deadline: table.or("configure_deadline", default.configure_deadline, |value| {
                duration::read(&value, shortest..=600 * second)
            }),
            table_elements: table.or("table_elements", default.table_elements, |value| value.whole(1..=10_000_000)),
            instances: table.or("instances", default.instances, |value| value.whole(1..=1_000)),
            series: table.or("series", default.series, |value| value.whole(1..=1_000_000)),
            exchanges: table.or("exchanges", default.exchanges, |value| value.whole(1..=100_000)),
            body_bytes: table.or("body", default.body_bytes, |value| size::read(&value, BODY_BYTES)),
            fetches: table.or("fetches", default.fetches, |value| value.whole(1..=1_000_000)),
            fetch_body_bytes: table.or("fetch_body", default.fetch_body_bytes, |value| size::read(&value, FETCH_BYTES)),
            fetch_timeout: table
                .or("fetch_timeout", default.fetch_timeout, |value| duration::read(&value, shortest..=600 * second)),
            bodies_bytes: table.or("bodies", default.bodies_bytes, |value| size::read(&value, BODIES_BYTES)),
        };
        table.finish();
        Some(limits)
    }
}

const BODY_BYTES: RangeInclusive<u64> = (1 << 10)..=(1 << 30);
const FETCH_BYTES: RangeInclusive<u64> = 1..=(1 << 30);
const BODIES_BYTES: RangeInclusive<u64> = (1 << 10)..=(16 << 30);
const MEMORY_BYTES: RangeInclusive<u64> = (64 << 10)..=(4 << 30);
