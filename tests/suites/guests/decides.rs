//! Guests that fail where an endpoint is picked or an exchange is observed, and one that closes.

use harness::{Form, Http, Origin, Site, eventually};
use serde_json::json;

#[tokio::test]
async fn a_failing_balancer_leaves_the_pick_to_the_host_unless_it_is_closed() {
    for form in Form::ALL {
        for (guest, reason) in [("panics-in-balancer", "trap"), ("absurd-pick", "absurd")] {
            for (on_error, status) in [(None, 200), (Some("open"), 200), (Some("closed"), 503)] {
                check_balancer(guest, reason, (on_error, status), form).await;
            }
        }
    }
}

async fn check_balancer(guest: &str, reason: &str, (on_error, status): (Option<&str>, u16), form: Form) {
    let site = Site::new().form(form).plugin("lb", guest, json!({})).chain(&["lb"]);
    let site = site.origin(Origin::echo()).origin(Origin::echo());
    let site = match on_error {
        Some(on_error) => site.set("plugin.lb.on_error", on_error),
        None => site,
    };
    let site = site.start().await;
    for http in [Http::H1, Http::H2] {
        let mut client = site.connect(http).await;
        for _ in 0..5 {
            let reply = client.get("/").await;
            assert_eq!(reply.status, status, "{on_error:?} {http:?} {}", site.admin().plugin("lb").await.json());
        }
    }
    let figures = site.admin().plugin("lb").await;
    assert_eq!(figures.failures("balancer", reason), 10, "{guest} {on_error:?} {}", figures.json());
    let seen = site.origin(0).seen().len() + site.origin(1).seen().len();
    assert_eq!(seen, if status == 200 { 10 } else { 0 }, "{guest} {on_error:?}");
}

#[tokio::test]
async fn a_balancer_that_does_not_load_leaves_the_pick_to_the_host_unless_it_is_closed() {
    for (on_error, status) in [(None, 200), (Some("open"), 200), (Some("closed"), 503)] {
        let site = Site::new().plugin("lb", "balance", json!({ "algorithm": "best" })).chain(&["lb"]);
        let site = site.origin(Origin::echo());
        let site = on_error
            .into_iter()
            .fold(site, |site, on_error| site.set("plugin.lb.on_error", on_error))
            .with_problems()
            .start()
            .await;
        for http in Http::ALL {
            assert_eq!(site.connect(http).await.get("/").await.status, status, "{on_error:?} {http:?}");
        }
        assert_eq!(site.admin().plugin("lb").await.state(), "failed");
    }
}

#[tokio::test]
async fn a_failing_observer_is_counted_and_noticed_by_nobody() {
    for form in Form::ALL {
        let site = Site::new().form(form).plugin("eye", "panics-in-observer", json!({})).chain(&["eye"]);
        let site = site.set("plugin.eye.on_error", "closed").origin(Origin::echo()).start().await;
        for http in Http::ALL {
            assert_eq!(site.connect(http).await.get("/").await.status, 200, "{form:?} {http:?}");
        }
        eventually("the observer has failed", async || {
            site.admin().plugin("eye").await.failures("observer", "trap") > 0
        })
        .await;
        let figures = site.admin().plugin("eye").await;
        assert_eq!(
            figures.last_error(),
            "observer: trapped: panicked at tests/guests/examples/panics-in-observer.rs:20:9: this plugin panics in the observer (wasm trap: wasm `unreachable` instruction executed)"
        );
    }
}

#[tokio::test]
async fn a_plugin_closes_the_connection_or_the_stream_without_an_answer() {
    let site = Site::new().origin(Origin::echo()).plugin("close", "close", json!({}));
    let site = site.route(json!({ "path": "/close", "chain": ["close"] })).route(json!({ "path": "/" })).start().await;
    for http in [Http::Plain, Http::H1] {
        let mut raw = site.raw(http).await;
        assert!(raw.send("GET /close HTTP/1.1\r\nHost: www.example.test\r\n\r\n").await);
        assert_eq!(String::from_utf8_lossy(&raw.read_to_end().await), "", "{http:?}");
    }
    let mut client = site.connect(Http::H2).await;
    let request = http::Request::get("/close").body(harness::Body::empty()).unwrap();
    let error = client.send(request).await.unwrap_err().to_string();
    assert!(error.contains("stream error received"), "{error}");
    // The other streams of the connection go on.
    assert_eq!(client.get("/").await.status, 200);
    assert_eq!(site.origin(0).seen().len(), 1);
}
