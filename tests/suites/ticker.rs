//! `ticker`: one instance of a plugin ticks, in the whole host, and does everything else as well.

use std::collections::BTreeSet;

use harness::{Form, Http, Running, Site, eventually};
use serde_json::{Value, json};

#[tokio::test]
async fn of_four_workers_instances_exactly_one_ticks_and_keeps_its_other_phases() {
    // With this much to configure, instances start from one image.
    for (form, padding) in [(Form::Module, 0), (Form::Component, 0), (Form::Module, 8 << 10)] {
        let site = site(json!({ "padding": "x".repeat(padding) }), form).set("workers", 4).start().await;
        eventually("it has ticked", async || ticks(&site).await >= 5).await;
        let (mut instances, mut tickers) = (BTreeSet::new(), String::new());
        eventually("every worker has answered", async || {
            let reply = site.connect(Http::Plain).await.get("/").await;
            instances.extend(reply.header("x-instance").map(str::to_owned));
            tickers = reply.header("x-tickers").unwrap_or_default().to_owned();
            instances.len() == 4
        })
        .await;
        assert!(instances.contains(&tickers), "one of {instances:?} ticks, not {tickers:?}");
        let figures = site.admin().plugin("ticks").await;
        assert!(figures.calls("ticker") >= 5 && figures.calls("request-filter") >= 4, "{:?}", figures.json());
        assert_eq!(figures.last_error(), "", "{form:?}");
    }
}

#[tokio::test]
async fn a_tick_that_fails_is_counted_and_the_next_one_has_a_fresh_instance() {
    let site = site(json!({ "panics": true }), Form::Module).set("workers", 2).start().await;
    eventually("it has ticked again and again", async || ticks(&site).await >= 3).await;
    let reply = site.get("/").await;
    let tickers = reply.header("x-tickers").unwrap_or_default().split(' ').count();
    assert!(tickers >= 3, "each tick was another instance's: {:?}", reply.header("x-tickers"));
    let figures = site.admin().plugin("ticks").await;
    assert!(figures.failures("ticker", "trap") >= 3, "{:?}", figures.json());
    assert!(figures.last_error().starts_with("ticker: trapped: panicked at "), "{}", figures.last_error());
    let labels = [("plugin", "ticks"), ("phase", "ticker"), ("reason", "trap")];
    assert!(site.admin().metrics().await.count("palisade_plugin_failures_total", &labels) >= 3);
    assert_eq!(figures.failures("request-filter", "trap"), 0);
}

#[tokio::test]
async fn with_an_instance_for_every_exchange_the_one_that_ticks_serves_none() {
    let site = site(json!({}), Form::Module).set("plugin.ticks.isolation", "request").start().await;
    eventually("it has ticked", async || ticks(&site).await >= 3).await;
    let reply = site.get("/").await;
    assert!(!reply.header("x-tickers").unwrap_or_default().contains(' '), "{:?}", reply.header("x-tickers"));
    assert_ne!(reply.header("x-tickers"), reply.header("x-instance"));
}

#[tokio::test]
async fn a_ticker_without_an_interval_does_not_load() {
    let site = site(json!({ "every_millis": 0 }), Form::Module).with_problems().start().await;
    let figures = site.admin().plugin("ticks").await;
    let sentence = "has the phase \"ticker\" and tells no interval: call `tick_every` in `configure`";
    assert!(figures.last_error().ends_with(sentence), "{}", figures.last_error());
    assert_eq!(site.get("/").await.status, 503);
}

#[tokio::test]
async fn a_plugin_that_is_exchanged_ticks_on_in_one_instance_of_the_new_one() {
    let site = site(json!({}), Form::Module).set("workers", 2).start().await;
    eventually("it has ticked", async || ticks(&site).await >= 3).await;
    let tickers = async || {
        let reply = site.get("/").await;
        reply.header("x-tickers").unwrap_or_default().split(' ').map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let before = tickers().await;
    let config = std::fs::read_to_string(site.folder().path().join("palisade.toml")).expect("a configuration");
    let config = config.replacen("[plugin.ticks.settings]", "[plugin.ticks.settings]\npadding = \"another\"", 1);
    site.folder().write("palisade.toml", config);
    assert_eq!(site.admin().reload().await.1["result"], "complete");
    eventually("another instance ticks", async || tickers().await.len() == 2).await;
    assert!(tickers().await.is_superset(&before));
    let counted = ticks(&site).await;
    eventually("it goes on", async || ticks(&site).await >= counted + 3).await;
    assert_eq!(tickers().await.len(), 2, "the one before does not tick any more, and of the new one only one instance");
}

/// A host with the guest in its chain.
fn site(settings: Value, form: Form) -> Site {
    let site = Site::new().form(form).plugin("ticks", "ticks", settings).set("plugin.ticks.grant", json!(["shared"]));
    site.set("upstream.web.endpoints", json!(["127.0.0.1:1"])).chain(&["ticks"])
}

/// How often it has ticked.
async fn ticks(site: &Running) -> u64 {
    site.get("/").await.text().parse().unwrap_or_default()
}
