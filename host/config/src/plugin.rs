//! A configured plugin: a module of `plugins_dir` with settings, grants and limits.

use std::{ops::RangeInclusive, time::Duration};

use palisade_contract::OnError;

use crate::{
    Life, duration, settings, size,
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
    /// What its `configure` is given: always an object.
    pub settings: serde_json::Value,
    /// How long its instances live.
    pub life: Life,
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
            settings: settings::none(),
            life: Life::default(),
            limits: PluginLimits::default(),
        }
    }

    pub(crate) fn read(name: &str, value: &Value<'_>) -> Option<Self> {
        let mut table = value.table("a plugin")?;
        let module = table.required("module", module);
        let on_error = table.optional("on_error", |value| value.choice("a policy", &POLICIES));
        let grants = table.or("grant", Vec::new(), grants);
        let settings = table.optional("settings", settings::read).unwrap_or_else(settings::none);
        let life = Life::read(&mut table);
        let limits = table.or("limits", PluginLimits::default(), PluginLimits::read);
        table.finish();
        Some(Self { name: name.to_owned(), module: module?, on_error, grants, settings, life, limits })
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

fn grants(value: Value<'_>) -> Option<Vec<Capability>> {
    let mut grants = Vec::new();
    for element in value.list(GRANTS)? {
        if element.raw().as_str().is_some_and(|name| ALWAYS_GRANTED.contains(&name)) {
            element.warn(format!("{} is always granted", element.found()));
            continue;
        }
        let choices = Capability::ALL.map(|capability| (capability.name(), capability));
        let Some(capability) = element.choice("a capability", &choices) else { continue };
        if grants.contains(&capability) {
            element.refuse::<()>(format!("{} is granted already", element.found()));
        }
        grants.push(capability);
    }
    Some(grants)
}

const POLICIES: [(&str, OnError); 2] = [("closed", OnError::Closed), ("open", OnError::Open)];
/// The interfaces of the contract that every plugin may import.
const ALWAYS_GRANTED: [&str; 11] =
    ["setup", "fault", "names", "log", "clock", "random", "request", "response", "reply", "bodies", "body"];
const MODULE_BYTES_MAX: usize = 128;
const MODULE: Form = Form {
    noun: "a module",
    expected: "the name of a file in plugins_dir without .wasm: letters, digits, \".\", \"-\" and \"_\"",
};
const GRANTS: Form = Form { noun: "a list", expected: "capabilities, such as [\"metrics\"]" };

/// Something that a plugin may import only if the config grants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Counters, gauges and histograms of its own.
    Metrics,
}

impl Capability {
    /// Every capability that can be granted.
    pub const ALL: [Self; 1] = [Self::Metrics];

    /// The name in the config, which is the name of the interface in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
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
            bodies_bytes: table.or("bodies", default.bodies_bytes, |value| size::read(&value, BODIES_BYTES)),
        };
        table.finish();
        Some(limits)
    }
}

const BODY_BYTES: RangeInclusive<u64> = (1 << 10)..=(1 << 30);
const BODIES_BYTES: RangeInclusive<u64> = (1 << 10)..=(16 << 30);
const MEMORY_BYTES: RangeInclusive<u64> = (64 << 10)..=(4 << 30);
