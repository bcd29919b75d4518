//! What all plugins have together, what becomes of one that keeps failing, and of an instance that is of no use.

use harness::{Answer, Http, Origin, Running, Site, eventually};
use serde_json::json;

/// A site whose plugin `a` panics over `/panic` and lets `/plain` pass.
fn panicking(after: u32) -> Site {
    Site::new()
        .plugin("a", "asks", json!({ "upstream": "web" }))
        .set("plugin.a.grant", json!(["metrics", { "fetch": ["web"] }]))
        .set("plugin.a.backoff", json!({ "after": after, "first": "500ms", "max": "2s" }))
        .chain(&["a"])
        .origin(Origin::echo())
}

async fn status(site: &Running, path: &str) -> u16 {
    site.connect(Http::H2).await.get(path).await.status
}

#[tokio::test]
async fn a_plugin_that_keeps_failing_is_left_alone_and_comes_back_by_itself() {
    for (on_error, meanwhile) in [("closed", 503), ("open", 200)] {
        let site = panicking(3).set("plugin.a.on_error", on_error).start().await;
        for _ in 0..3 {
            assert_eq!(status(&site, "/panic").await, meanwhile);
        }
        assert_eq!(site.admin().plugin("a").await.failures("request-filter", "trap"), 3);
        assert_eq!(status(&site, "/plain").await, meanwhile, "its policy holds");
        let figures = site.admin().plugin("a").await;
        assert_eq!((figures.state(), figures.failures("request-filter", "unavailable")), ("backed-off", 1));
        assert_eq!(figures.failures("request-filter", "trap"), 3, "it is not called");
        assert_eq!(site.admin().metrics().await.sum("palisade_plugin_backed_off", &[("plugin", "a")]), 1.0);
        let ready = site.admin().get("/readyz").await;
        assert!(ready.text().contains("degraded: plugin \"a\" keeps failing"), "{}", ready.text());
        eventually("it is tried again", async || {
            let _ = status(&site, "/plain").await;
            site.admin().plugin("a").await.state() == "running"
        })
        .await;
        assert_eq!(status(&site, "/plain").await, 200);
        assert_eq!(site.admin().metrics().await.sum("palisade_plugin_backed_off", &[("plugin", "a")]), 0.0);
    }
}

#[tokio::test]
async fn what_was_begun_goes_on_while_the_plugin_is_left_alone() {
    let auth = Origin::answering(|_| Answer::body("yes").held());
    let site = panicking(3)
        .set("plugin.a.settings.upstream", "auth")
        .set("plugin.a.grant", json!(["metrics", { "fetch": ["auth"] }]))
        .set("plugin.a.isolation", "request")
        .set("plugin.a.backoff.first", "2s")
        .set("upstream.auth.endpoints", json!([auth.address().to_string()]))
        .start()
        .await;
    let mut client = site.connect(Http::H2).await;
    let waiting = tokio::spawn(async move { client.get("/").await.status });
    eventually("it waits", async || auth.seen().len() == 1).await;
    for _ in 0..3 {
        assert_eq!(status(&site, "/panic").await, 503);
    }
    assert_eq!(status(&site, "/plain").await, 503, "nothing new is begun");
    auth.release();
    assert_eq!(waiting.await.expect("it ends"), 200);
}

#[tokio::test]
async fn a_client_with_bad_requests_does_not_stop_a_plugin_that_serves_others() {
    let site = panicking(3).start().await;
    for _ in 0..20 {
        assert_eq!(status(&site, "/panic").await, 503);
        assert_eq!(status(&site, "/plain").await, 200);
    }
    assert_eq!(site.admin().plugin("a").await.failures("request-filter", "trap"), 20);
}

#[tokio::test]
async fn a_plugin_beyond_the_memory_of_all_together_does_not_load() {
    let site = Site::new().plugin("a", "noop", json!({})).chain(&["a"]).origin(Origin::echo());
    let site = site.set("engine.memory", "1 MiB").with_problems().start().await;
    let error = site.admin().plugin("a").await.last_error().to_owned();
    assert!(error.contains("bytes of memory on 1 workers, and all plugins together may have 1048576"), "{error}");
    assert_eq!(status(&site, "/").await, 503);
}

#[tokio::test]
async fn a_plugin_that_grows_beyond_the_memory_of_all_together_has_failed_and_the_others_go_on() {
    let site = Site::new()
        .plugin("hog", "memory-hog", json!({}))
        .plugin("tag", "tag", json!({ "name": "a" }))
        .set("plugin.hog.limits.memory", "1 GiB")
        .set("engine.memory", "16 MiB")
        .route(json!({ "path": "/hog", "chain": ["hog"] }))
        .route(json!({ "chain": ["tag"] }))
        .origin(Origin::echo())
        .start()
        .await;
    for _ in 0..3 {
        assert_eq!(status(&site, "/hog").await, 503);
        assert_eq!(status(&site, "/").await, 200);
    }
    let error = site.admin().plugin("hog").await.last_error().to_owned();
    assert!(error.contains("all plugins together may have 16777216 bytes of memory, and have them"), "{error}");
    let peak = site.admin().plugin("hog").await.json()["memory_bytes_peak"].as_u64().expect("a number");
    assert!(peak <= 16 << 20, "{peak}");
}

#[tokio::test]
async fn an_instance_of_no_use_is_released_and_the_next_call_has_a_fresh_one() {
    let site = Site::new().plugin("a", "tag", json!({ "name": "a" })).set("plugin.a.idle", "1s");
    let site = site.chain(&["a"]).origin(Origin::echo()).start().await;
    assert_eq!(status(&site, "/").await, 200);
    assert_eq!(site.admin().plugin("a").await.json()["instances"], 1);
    eventually("it is released", async || site.admin().plugin("a").await.json()["instances"] == 0).await;
    assert_eq!(status(&site, "/").await, 200);
    assert_eq!(site.admin().plugin("a").await.json()["instances"], 1);
}

#[tokio::test]
async fn denials_and_time_are_told_by_phase() {
    let site = Site::new().plugin("a", "reply", json!({ "status": 403 })).chain(&["a"]).origin(Origin::echo());
    let site = site.start().await;
    for _ in 0..100 {
        assert_eq!(status(&site, "/").await, 403);
    }
    let figures = site.admin().plugin("a").await;
    let phase = &figures.json()["phases"]["request-filter"];
    assert_eq!((phase["calls"].as_u64(), phase["denials"].as_u64()), (Some(100), Some(100)));
    let (wall, processor) = (phase["seconds"].as_f64(), phase["processor_seconds"].as_f64());
    assert!(processor > Some(0.0) && processor <= wall, "{phase}");
    let denied = site.admin().metrics().await;
    assert_eq!(denied.count("palisade_plugin_denials_total", &[("plugin", "a"), ("phase", "request-filter")]), 100);
}
