//! `shared`: values and counters that all workers have in common, in namespaces, for those that are granted them.

use std::collections::BTreeSet;

use harness::{Form, Http, Origin, Running, Site, bytes_of, eventually};
use palisade_engine::{Manifest, PluginConfig};
use serde_json::{Value, json};

#[tokio::test]
async fn a_counter_is_one_for_all_workers_and_no_request_is_lost() {
    for form in Form::ALL {
        let site = site(&[("shares", json!({}))], form).set("workers", 4).start().await;
        let mut instances = BTreeSet::new();
        let mut clients = Vec::new();
        for _ in 0..48 {
            clients.push(site.connect(Http::Plain).await);
        }
        let counting = clients.into_iter().map(|mut client| {
            tokio::spawn(async move {
                let mut instances = BTreeSet::new();
                for _ in 0..20 {
                    let reply = client.get("/shares/add/hits").await;
                    instances.extend(reply.header("x-instance").map(str::to_owned));
                }
                instances
            })
        });
        for counted in counting.collect::<Vec<_>>() {
            instances.extend(counted.await.expect("a client that does not panic"));
        }
        assert_eq!(instances.len(), 4, "every worker has counted");
        assert_eq!(told(&site, "/shares/counter/hits").await, "960", "{form:?}");
    }
}

#[tokio::test]
async fn plugins_share_what_the_configuration_joins_and_nothing_else() {
    let plugins = [("one", json!({})), ("two", json!({})), ("apart", json!({}))];
    let site = site(&plugins, Form::Module).set("plugin.one.shared", json!({ "name": "pool" }));
    let site = site.set("plugin.two.shared", json!({ "name": "pool" })).start().await;
    for (path, expected) in [
        ("/one/add/a/3", "3"),
        ("/two/add/a/4", "7"),
        ("/apart/add/a", "1"),
        ("/one/set/v/x", "set"),
        ("/apart/get/v", "none"),
        ("/apart/take/v/x", "false"),
        ("/two/take/v/x", "true"),
        ("/one/get/v", "none"),
    ] {
        assert_eq!(told(&site, path).await, expected, "{path}");
    }
    for (plugin, namespace, keys) in [("one", "pool", 1), ("two", "pool", 1), ("apart", "apart", 1)] {
        let figures = site.admin().plugin(plugin).await.json()["shared"].clone();
        assert_eq!((&figures["name"], &figures["keys"]), (&json!(namespace), &json!(keys)), "{plugin}");
    }
}

#[tokio::test]
async fn a_grant_that_is_missing_keeps_exactly_that_plugin_from_loading() {
    let plugins = ["one", "two", "three"];
    for ungranted in [None, Some("two")] {
        let site = site(&plugins.map(|name| (name, json!({}))), Form::Module);
        let site =
            ungranted.iter().fold(site, |site, name| site.set(&format!("plugin.{name}.grant"), json!(["metrics"])));
        let site = site.with_problems().start().await;
        for name in plugins {
            let (state, status) = if ungranted == Some(name) { ("failed", 503) } else { ("running", 200) };
            let figures = site.admin().plugin(name).await;
            assert_eq!(figures.state(), state, "{name}");
            assert_eq!(site.get(&format!("/{name}/add/a")).await.status, status, "{name}");
            let sentence = "asks for the capability \"shared\", which the config does not grant: add `grant = [\"shared\"]` to \
                            [plugin.two] to allow it";
            assert_eq!(figures.last_error().ends_with(sentence), state == "failed", "{}", figures.last_error());
        }
    }
}

#[tokio::test]
async fn what_is_beyond_the_bounds_makes_room_and_is_counted() {
    let site = site(&[("shares", json!({}))], Form::Module);
    let site = site.set("plugin.shares.shared", json!({ "keys": 10, "bytes": "64 KiB" })).start().await;
    let mut client = site.connect(Http::H1).await;
    for number in 0..30 {
        client.get("/shares/add/hot").await;
        client.get(&format!("/shares/set/{number}/x")).await;
    }
    assert_eq!(told(&site, "/shares/counter/hot").await, "30", "what is used stays");
    assert_eq!([told(&site, "/shares/get/0").await, told(&site, "/shares/get/29").await], ["none", "x"]);
    let metrics = site.admin().metrics().await;
    let figure = |name: &str| metrics.count(&format!("palisade_shared_{name}"), &[("namespace", "shares")]);
    assert_eq!((figure("keys"), figure("evictions_total")), (10, 21));
    assert!((10 * 192..10 * 224).contains(&figure("bytes")), "{}", figure("bytes"));
    let figures = site.admin().plugin("shares").await.json()["shared"].clone();
    let expected = json!({
        "name": "shares", "keys": 10, "keys_max": 10, "bytes": figure("bytes"), "bytes_max": 65_536, "evictions": 21,
    });
    assert_eq!(figures, expected);
}

#[tokio::test]
async fn what_has_a_time_to_live_is_gone_after_it() {
    let site = site(&[("shares", json!({ "ttl_millis": 200 }))], Form::Module).start().await;
    told(&site, "/shares/set/v/x").await;
    assert_eq!(told(&site, "/shares/add/c").await, "1");
    eventually("the value is gone", async || told(&site, "/shares/get/v").await == "none").await;
    eventually("the counter is gone", async || told(&site, "/shares/counter/c").await == "0").await;
}

#[tokio::test]
async fn a_plugin_that_counts_while_it_is_configured_is_configured_in_every_instance() {
    // With this much to configure, instances would start from one image otherwise.
    for padding in ["", &"x".repeat(8 << 10)] {
        let settings = json!({ "counts_configure": true, "padding": padding });
        let site = site(&[("shares", settings)], Form::Module).set("workers", 3).start().await;
        let counted: u64 = told(&site, "/shares/counter/configured").await.parse().expect("a number");
        assert!(counted >= 4, "one at load and one on each worker, at least: {counted}");
    }
}

#[tokio::test]
async fn a_fresh_instance_for_every_exchange_finds_what_others_have_shared() {
    let site = site(&[("shares", json!({}))], Form::Module).set("plugin.shares.isolation", "request").start().await;
    let mut client = site.connect(Http::H2).await;
    let mut instances = BTreeSet::new();
    for expected in 1..=10 {
        let reply = client.get("/shares/add/a").await;
        assert_eq!(reply.text(), expected.to_string());
        instances.extend(reply.header("x-instance").map(str::to_owned));
    }
    assert_eq!(instances.len(), 10);
}

#[tokio::test]
async fn what_is_shared_outlives_a_reload_that_exchanges_the_plugin() {
    let site = site(&[("shares", json!({}))], Form::Module).start().await;
    assert_eq!(told(&site, "/shares/add/a/3").await, "3");
    let generation = site.admin().plugin("shares").await.json()["generation"].clone();
    let config = std::fs::read_to_string(site.folder().path().join("palisade.toml")).expect("a configuration");
    let config = config.replacen("[plugin.shares.settings]", "[plugin.shares.settings]\nttl_millis = 60000", 1);
    site.folder().write("palisade.toml", config);
    assert_eq!(site.admin().reload().await.1["result"], "complete");
    assert_ne!(site.admin().plugin("shares").await.json()["generation"], generation, "it is another plugin");
    assert_eq!(told(&site, "/shares/add/a/4").await, "7");
}

#[test]
fn a_plugin_asks_for_it_only_if_it_calls_it() {
    for (module, expected) in [("tag", vec![]), ("counts", vec!["metrics"]), ("shares", vec!["shared"])] {
        for form in Form::ALL {
            let manifest = Manifest::read(&bytes_of(module, form)).expect("a plugin");
            let asks: Vec<_> = manifest.asks.iter().map(|asked| asked.name()).collect();
            assert_eq!(asks, expected, "{module} {form:?}");
        }
    }
    assert_eq!(PluginConfig::new("a", "b").shared.name, "a");
}

/// A host with these plugins of the guest, each granted what it asks for, at the route of its name.
fn site(plugins: &[(&str, Value)], form: Form) -> Site {
    plugins.iter().fold(Site::new().form(form).origin(Origin::echo()), |site, (name, settings)| {
        let mut settings = settings.clone();
        settings.as_object_mut().expect("settings").insert("name".into(), json!(name));
        let site = site.plugin(name, "shares", settings).set(&format!("plugin.{name}.grant"), json!(["shared"]));
        site.route(json!({ "path": format!("/{name}"), "chain": [name] }))
    })
}

/// What the guest at the path says.
async fn told(site: &Running, path: &str) -> String {
    let reply = site.get(path).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.text().to_owned()
}
