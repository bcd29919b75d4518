//! Plugins with much to configure: configured once, and every instance starts from what that left.

use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;

use harness::{Folder, Form, bytes_of};
use palisade_config::Capability;
use palisade_contract::{Admission, Connection, Filter, Flow, Plugin as _, WorkerServices, testing};
use palisade_engine::{Engine, Module, Options, Plugin, Reason, Services};
use serde_json::{Value, json};

#[test]
fn a_second_start_compiles_and_configures_nothing() {
    let folder = Folder::new();
    let (first, second) = (engine(folder.path()), engine(folder.path()));
    firewall(&first, much()).unwrap();
    assert_eq!(first.cache_counts(), (0, 2), "the module and its image are compiled");
    firewall(&second, much()).unwrap();
    assert_eq!(second.cache_counts(), (2, 0), "both are there");
    // Other settings are another image of the same module.
    let mut other = much();
    other["deny"][0] = json!("198.51.100.0/24");
    firewall(&second, other).unwrap();
    assert_eq!(second.cache_counts(), (3, 1));
}

#[test]
fn an_instance_of_an_image_decides_as_a_configured_one() {
    let folder = Folder::new();
    let engine = engine(folder.path());
    let imaged = firewall(&engine, much()).unwrap().open(&WorkerServices::default());
    let configured = firewall(&engine, few()).unwrap().open(&WorkerServices::default());
    for filter in [imaged, configured] {
        assert_eq!(admission(&filter, "10.0.7.1"), Admission::Refuse);
        assert_eq!(admission(&filter, "192.0.2.1"), Admission::Accept);
        // The handles of metrics and of hot headers are good, too.
        for (target, agent, replies) in [("/admin", "curl", true), ("/", "scanner", true), ("/", "curl", false)] {
            let mut exchange = testing::exchange(target);
            exchange.request.headers.insert("user-agent", agent.parse().unwrap());
            let flow = filter.request(&mut exchange).unwrap();
            assert_eq!(matches!(flow, Flow::Reply(_)), replies, "{target} {agent}");
        }
    }
}

#[test]
fn a_module_that_an_image_took_the_place_of_lets_go_of_its_code_and_has_it_again() {
    let folder = Folder::new();
    let engine = engine(folder.path());
    let module = Module::new(&engine, &bytes_of("firewall", Form::Module)).unwrap();
    let _imaged = Plugin::new(&engine, &module, &wall(much())).unwrap();
    assert_eq!(engine.cache_counts(), (0, 2), "the module and its image are compiled");
    for times in [1, 1] {
        let configured = Plugin::new(&engine, &module, &wall(few())).unwrap().open(&WorkerServices::default());
        assert_eq!(engine.cache_counts(), (times, 2), "the module's own code is loaded once more, and stays");
        assert_eq!(admission(&configured, "10.0.7.1"), Admission::Refuse);
    }
}

#[test]
fn settings_that_are_refused_are_refused_with_their_key_also_where_there_is_much_of_them() {
    let folder = Folder::new();
    let mut settings = much();
    settings["deny"][3] = json!("10.0.0.0/33");
    let refused = firewall(&engine(folder.path()), settings).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "refuses its configuration: settings.deny[3]: \"10.0.0.0/33\" is not a network: prefix length is at most 32"
    );
}

fn engine(folder: &Path) -> Engine {
    Engine::new(&Options { cache: Some(folder.join("cache")), ..Options::default() }, Services::default())
        .expect("an engine")
}

fn firewall(engine: &Engine, settings: Value) -> Result<Plugin, Reason> {
    Plugin::new(engine, &Module::new(engine, &bytes_of("firewall", Form::Module))?, &wall(settings))
}

fn wall(settings: Value) -> palisade_config::Plugin {
    let plain = palisade_config::Plugin::new("wall", "firewall");
    palisade_config::Plugin { grants: vec![Capability::Metrics], settings, ..plain }
}

/// Far more than four KiB of settings.
fn much() -> Value {
    let deny: Vec<String> = (0..500).map(|third| format!("10.{}.{}.0/24", third / 256, third % 256)).collect();
    json!({ "deny": deny, "rules": rules() })
}

fn few() -> Value {
    json!({ "deny": ["10.0.7.0/24"], "rules": rules() })
}

fn rules() -> Value {
    json!([
        { "name": "admin", "action": "deny", "when": { "path_prefix": "/admin" } },
        { "name": "agents", "action": "deny", "when": { "header": [{ "name": "user-agent", "contains": "scanner" }] } },
    ])
}

fn admission(filter: &Rc<dyn Filter>, client: &str) -> Admission {
    let client = SocketAddr::new(client.parse().expect("an address"), 50_000);
    filter.connection(&Connection { client, ..testing::connection() }).expect("a decision")
}
