//! The two executors of plugins side by side: whatever a guest is asked, it answers the same by both, fails the same way by both, and
//! what it has done is the same.

mod asked;
mod play;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use harness::{Form, bytes_of, cache};
use palisade_contract::{Filter, Names, Plugin as _, WorkerServices};
use palisade_engine::{
    Capability, Engine, Executor, MemoryStore, Module, Options, Plugin, PluginConfig, PluginLimits, Services,
};
use palisade_monitor::{AccessLog, Registry};
use proptest::prelude::*;
use serde_json::{Value, json};

use asked::Asked;
use play::{Still, play};

#[test]
fn guests_that_read_and_change_heads() {
    check("tag", json!({}));
    check("version", json!({ "suffix": "+", "marks_bodies": true }));
    check("carries", json!({ "prefix": "p" }));
    check("remembers", json!({}));
    check("header-bomb", json!({}));
    check("big-reply", json!({}));
    check("reply", json!({}));
    check("close", json!({}));
    check("logs", json!({}));
    check("noop", json!({}));
}

#[test]
fn guests_that_keep_and_count() {
    check("counts", json!({}));
    check("shares", json!({ "name": "", "ttl_millis": 0, "counts_configure": false, "padding": "" }));
    check("ticks", json!({ "every_millis": 1_000, "panics": false, "padding": "" }));
    check("asks", json!({ "upstream": "other", "times": 3, "body": "asked" }));
    check("asks", json!({ "upstream": "api", "times": 2 }));
    check("knows-clients", json!({ "refuse": ["refused.example"] }));
    check("refuses-connection", json!({}));
}

#[test]
fn guests_that_work_on_bodies_and_streams() {
    for way in ["read", "upper", "double", "halve", "lie", "meddle"] {
        for buffered in [false, true] {
            let way = json!({ "edit": way, "buffer": if buffered { json!(1_000) } else { json!(null) } });
            check("reshape", json!({ "request": way, "response": way }));
        }
    }
    check("stream", json!({ "shown": "both", "upper": true, "refuses": "REFUSE", "traps": "TRAP" }));
    check("stream", json!({ "shown": "first", "lines": "other" }));
}

#[test]
fn guests_that_fail() {
    check("fails", json!({}));
    check("absurd-pick", json!({}));
    check("endless-recursion", json!({}));
    check("memory-hog", json!({}));
    check("trap-on-third-call", json!({}));
    check("panics-in-balancer", json!({}));
    check("panics-in-connection", json!({}));
    check("panics-in-observer", json!({}));
    check("panics-at-configure", json!({}));
    check("refuses-configure", json!({}));
    check("configure-loops", json!({}));
    check("endless-loop", json!({}));
    check("slow-configure", json!({}));
}

#[test]
fn the_firewall() {
    let deny: Vec<String> = (0..400).map(|third| format!("10.{}.{}.0/24", third / 256, third % 256)).collect();
    let rules = json!([
        { "name": "admin", "action": "deny", "when": { "path_prefix": ["/admin"] } },
        { "name": "writes", "action": "deny", "when": { "methods": ["DELETE", "PUT"] } },
        { "name": "scripts", "action": "deny", "when": { "path_regex": "\\.(php|cgi)$" } },
        { "name": "agents", "action": "deny", "when": { "header": [{ "name": "user-agent", "regex": "(?i)scan" }] } },
    ]);
    // Once as an image, and once configured in each instance.
    check("firewall", json!({ "deny": deny, "rules": rules }));
    check("firewall", json!({ "deny": ["10.0.0.0/8"], "rules": rules }));
}

#[test]
fn the_balancer() {
    for algorithm in ["weighted_round_robin", "maglev"] {
        check("balance", json!({ "algorithm": algorithm }));
    }
    check("balance", json!({ "algorithm": "ring_hash", "bound": 1.5 }));
    let cookie = json!({ "name": "node", "secret": "at least sixteen bytes", "ttl": "8h" });
    // Of several, one is drawn for a new client, and never the same by both.
    check_about("balance", json!({ "algorithm": "sticky_cookie", "cookie": cookie }), |asked| {
        asked.candidates.truncate(1)
    });
}

#[test]
fn those_that_count_and_limit() {
    check("qps", json!({ "labels": ["listener", "route", "upstream", "protocol"], "series_max": 8 }));
    let limits = json!([
        { "name": "client", "requests": 5, "per": "1m" },
        { "name": "keys", "requests": 2, "per": "1d", "by": [{ "header": "x-key" }] },
    ]);
    check("rate-limit", json!({ "limits": limits }));
}

/// Requests that one plugin is asked about, with whatever belongs to each.
const CASES: u32 = 24;

/// Asks a module, with these settings, the same things by both executors.
#[track_caller]
fn check(module: &str, settings: Value) {
    check_about(module, settings, |_| ());
}

/// Like [`check`], about things that are first changed in this way.
#[track_caller]
fn check_about(module: &str, settings: Value, change: impl Fn(&mut Asked)) {
    let sides = [Executor::Direct, Executor::Component].map(|executor| Side::new(module, &settings, executor));
    let [direct, component] = &sides;
    assert_eq!(direct.loaded, component.loaded, "{module} does not load alike");
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(mut asked in Asked::any())| {
        change(&mut asked);
        let [direct, component] = [direct, component].map(|side| side.play(&asked));
        prop_assert_eq!(direct, component, "{} about {:?}", module, asked);
    });
    let [direct, component] = sides.map(|side| side.counted());
    assert_eq!(direct, component, "{module} does not count alike");
}

fn unhurried() -> PluginLimits {
    PluginLimits { deadline: Duration::from_secs(10), ..PluginLimits::default() }
}

/// One executor's.
struct Side {
    /// What became of loading it.
    loaded: Result<(), String>,
    filter: Option<Rc<dyn Filter>>,
    registry: Arc<Registry>,
    clock: Arc<Still>,
}

impl Side {
    fn new(module: &str, settings: &Value, executor: Executor) -> Self {
        let registry = Registry::new("test", SystemTime::UNIX_EPOCH, AccessLog::Off);
        let clock = Arc::new(Still::default());
        let services = Services {
            clock: clock.clone(),
            names: Arc::new(Names::default()),
            metrics: registry.clone(),
            shared: Arc::new(MemoryStore::default()),
        };
        let options =
            Options { components_alone: executor == Executor::Component, cache: Some(cache()), ..Options::default() };
        let engine = Engine::new(&options, services).expect("an engine");
        let config = PluginConfig {
            settings: settings.clone(),
            grants: vec![Capability::Metrics, Capability::Fetch, Capability::Shared, Capability::Tls],
            fetch: vec!["api".into()],
            // What does not loop never runs for as long, however busy the machine.
            limits: if module == "endless-loop" { PluginLimits::default() } else { unhurried() },
            ..PluginConfig::new("tried", module)
        };
        let loaded = Module::new(&engine, &bytes_of(module, Form::Module)).and_then(|loaded| {
            assert_eq!(loaded.executor(), executor, "{module}");
            Plugin::new(&engine, &loaded, &config)
        });
        let filter = loaded.as_ref().ok().map(|plugin| plugin.open(&WorkerServices::default()));
        Self { loaded: loaded.map(drop).map_err(|reason| reason.to_string()), filter, registry, clock }
    }

    /// All that it said, and what it has made of everything.
    fn play(&self, asked: &Asked) -> Vec<String> {
        self.filter.as_ref().map_or_else(Vec::new, |filter| play(filter, asked, &self.clock))
    }

    /// What it has counted, but for times that are not those of the clock that it was given.
    fn counted(self) -> Vec<String> {
        drop(self.filter);
        let own = |line: &&str| line.contains("plugin=\"tried\"");
        let mut lines: Vec<String> = self.registry.render().lines().filter(own).map(str::to_owned).collect();
        // They come in no order.
        lines.sort_unstable();
        lines
    }
}
