//! Plugins in shadow: they run, they are counted, and neither client nor endpoint sees anything of them.

use harness::{Client, Http, Origin, Running, Site, eventually};
use serde_json::{Value, json};

const WOULD: &str = "palisade_plugin_shadow_total";
const DISAGREES: &str = "palisade_plugin_shadow_disagreements_total";

/// A site whose chain is this guest in shadow and then a plugin that tags, which is enforced.
fn shadowed(guest: &str, settings: Value) -> Site {
    let site = Site::new().origin(Origin::echo()).plugin("new", guest, settings);
    let site = site.plugin("tag", "tag", json!({ "name": "enforced" }));
    let chain = json!([{ "plugin": "new", "mode": "shadow" }, "tag"]);
    site.set("listener.public.chain", chain.clone()).set("listener.plain.chain", chain)
}

async fn count(site: &Running, metric: &str, phase: &str, decision: &str) -> u64 {
    let labels = [("plugin", "new"), ("phase", phase), ("decision", decision)];
    site.admin().metrics().await.count(metric, &labels)
}

/// Everything is as if the plugin in shadow were not there.
async fn assert_untouched(client: &mut Client) {
    let reply = client.get("/x").await;
    assert_eq!((reply.status, reply.values("x-tag")), (200, vec!["enforced"]));
    let seen = reply.json();
    assert_eq!(seen.pointer("/target"), Some(&json!("/x")));
    assert_eq!(seen.pointer("/headers/x-tag"), Some(&json!(["enforced"])));
}

#[tokio::test]
async fn what_would_have_been_refused_passes_and_is_counted() {
    for (guest, decision) in [("reply", "reply"), ("close", "close"), ("fails", "failed"), ("endless-loop", "failed")] {
        let site = shadowed(guest, json!({})).set("plugin.new.on_error", "closed");
        let site = site.set("plugin.new.limits.deadline", if guest == "endless-loop" { "20ms" } else { "30s" });
        let site = site.start().await;
        for http in Http::ALL {
            let mut client = site.connect(http).await;
            for _ in 0..3 {
                assert_untouched(&mut client).await;
            }
        }
        assert_eq!(count(&site, WOULD, "request-filter", decision).await, 9, "{guest}");
        assert_eq!(count(&site, DISAGREES, "request-filter", decision).await, 9, "{guest}");
        assert_eq!(site.origin(0).seen().len(), 9, "{guest}");
    }
}

#[tokio::test]
async fn what_a_plugin_in_shadow_changes_is_seen_by_nobody() {
    let site = shadowed("tag", json!({ "name": "shadow" })).start().await;
    for http in Http::ALL {
        assert_untouched(&mut site.connect(http).await).await;
    }
    for phase in ["request-filter", "response-filter"] {
        assert_eq!(count(&site, WOULD, phase, "proceed").await, 3, "{phase}");
        assert_eq!(count(&site, DISAGREES, phase, "proceed").await, 0, "{phase}");
    }
}

#[tokio::test]
async fn a_plugin_that_did_not_load_refuses_nothing_in_shadow() {
    let site = shadowed("reply", json!({ "no-such-key": 1 }))
        .set("plugin.new.on_error", "closed")
        .with_problems()
        .start()
        .await;
    assert_untouched(&mut site.connect(Http::H2).await).await;
    assert_eq!(site.admin().plugin("new").await.state(), "failed");
    assert_eq!(count(&site, WOULD, "request-filter", "failed").await, 1);
}

#[tokio::test]
async fn a_plugin_in_shadow_that_would_have_let_pass_what_was_refused_disagrees() {
    let site = Site::new().origin(Origin::echo()).plugin("new", "noop", json!({}));
    let site = site.plugin("old", "reply", json!({ "status": 403 }));
    let chain = json!([{ "plugin": "new", "mode": "shadow" }, "old"]);
    let site = site.set("listener.public.chain", chain).start().await;
    assert_eq!(site.connect(Http::H1).await.get("/").await.status, 403);
    assert_eq!(count(&site, WOULD, "request-filter", "proceed").await, 1);
    assert_eq!(count(&site, DISAGREES, "request-filter", "proceed").await, 1);
    assert_eq!(site.origin(0).seen(), []);
}

#[tokio::test]
async fn a_connection_is_not_refused_by_a_plugin_in_shadow() {
    for (guest, settings, decision) in
        [("refuses-connection", json!({ "prefix": "127." }), "close"), ("panics-in-connection", json!({}), "failed")]
    {
        let site = shadowed(guest, settings).start().await;
        for http in Http::ALL {
            assert_untouched(&mut site.connect(http).await).await;
        }
        assert_eq!(count(&site, WOULD, "connection-filter", decision).await, 3, "{guest}");
        assert_eq!(count(&site, DISAGREES, "connection-filter", decision).await, 3, "{guest}");
    }
}

#[tokio::test]
async fn a_balancer_in_shadow_is_compared_with_the_one_that_picks() {
    let site = Site::new().origin(Origin::echo()).origin(Origin::echo());
    let site = site.plugin("first", "noop", json!({})).plugin(
        "new",
        "balance",
        json!({ "algorithm": "weighted_round_robin" }),
    );
    let chain = json!([{ "plugin": "new", "mode": "shadow" }, "first"]);
    let site = site.set("listener.public.chain", chain).start().await;
    let mut client = site.connect(Http::H2).await;
    for _ in 0..10 {
        assert_eq!(client.get("/").await.status, 200);
    }
    assert_eq!((site.origin(0).seen().len(), site.origin(1).seen().len()), (10, 0));
    assert_eq!(count(&site, WOULD, "balancer", "agree").await, 5);
    assert_eq!(count(&site, WOULD, "balancer", "differ").await, 5);
    assert_eq!(count(&site, DISAGREES, "balancer", "differ").await, 5);
}

#[tokio::test]
async fn disagreements_are_logged_with_what_was_asked_and_not_without_end() {
    let mut site = shadowed("reply", json!({ "status": 403 })).start_process().await;
    let mut client = site.connect(Http::H1).await;
    for request in 0..30 {
        assert_eq!(client.get(&format!("/{request}")).await.status, 200);
    }
    assert_eq!(count(&site, DISAGREES, "request-filter", "reply").await, 30);
    // Lines are written in order, so that the samples are there once a later line is.
    eventually("the last access is logged", async || site.process().log().contains("\"request_target\":\"/29\"")).await;
    let log = site.process().log();
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let samples: Vec<&Value> = lines.iter().filter(|line| line["target"] == "shadow").collect();
    assert_eq!(samples.len(), 20);
    let first = samples.first().unwrap();
    for (field, expected) in [
        ("plugin", "new"),
        ("phase", "request-filter"),
        ("would", "reply 403"),
        ("enforced", "proceed"),
        ("client", "127.0.0.1"),
        ("method", "GET"),
        ("authority", "www.example.test"),
        ("request_target", "/0"),
    ] {
        assert_eq!(first[field], expected, "{field}: {first}");
    }
}
