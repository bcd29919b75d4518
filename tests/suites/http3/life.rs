//! The life of a connection over QUIC: clients that move, change their minds, or stay for too long; a host that drains.

use std::sync::Arc;

use harness::{Aioquic, Origin, eventually};
use serde_json::json;

use super::{chained, site, started};

/// RFC 9114, section 8.1.
const NO_ERROR: u64 = 0x100;
const INTERNAL_ERROR: u64 = 0x102;
const REQUEST_REJECTED: u64 = 0x10b;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_moves_keeps_its_download_with_four_workers() {
    const BYTES: u64 = 20 << 20;
    let site = chained().set("workers", 4).origin(Origin::echo()).start().await;
    let program = Arc::new(Aioquic::start());
    // With a few clients, some of them would come to another worker by their new port.
    for _ in 0..6 {
        let client = program.connect(&site).await;
        let begun = client.request(("GET", &format!("/bytes/{BYTES}")), &[], json!({ "wait": 1 << 20 })).await;
        let before = client.tell(json!({ "do": "rebind" })).await;
        let after = client.tell(json!({ "do": "rebind" })).await;
        assert_ne!(before["port"], after["port"]);
        let answer = client.tell(json!({ "do": "answer", "stream": begun["stream"] })).await;
        assert_eq!(
            (&answer["length"], &answer["reset"], &answer["closed"]),
            (&json!(BYTES), &json!(null), &json!(null))
        );
        let seen = client.get("/").await.json();
        assert_eq!(seen["headers"]["x-forwarded-for"], json!(["127.0.0.1"]));
    }
    site.idle().await;
}

#[tokio::test]
async fn a_request_that_is_given_up_stops_everything_under_way_for_it() {
    let (site, client) = started(chained()).await;
    let cases = [
        ("an answer that is not there yet", ("GET", "/hold"), json!({ "wait": null }), false),
        ("a body that goes on", ("POST", "/"), json!({ "wait": null, "goes_on": true, "pattern": 1_000 }), true),
        ("a body that goes on, by its answer alone", ("POST", "/"), json!({ "wait": null, "goes_on": true }), false),
        ("an answer that is on its way", ("GET", "/hold-body/100000"), json!({ "wait": 50_000 }), true),
    ];
    for (before, (what, (method, path), more, reset)) in cases.into_iter().enumerate() {
        let begun = client.request((method, path), &[], more).await;
        eventually(what, async || site.origin(0).connections() == 1 && site.origin(0).seen().len() == before + 1).await;
        client.tell(json!({ "do": "cancel", "stream": begun["stream"], "reset": reset })).await;
        eventually(what, async || site.origin(0).connections() == 0).await;
        site.idle().await;
    }
    let metrics = site.admin().metrics().await;
    assert_eq!(metrics.count("palisade_endings_total", &[("ending", "client-gone")]), 4);
    assert_eq!(client.get("/").await.status, 200, "the client's own connection goes on");
}

#[tokio::test]
async fn a_client_that_leaves_stops_everything_under_way_for_it() {
    let (site, client) = started(chained()).await;
    client.request(("GET", "/hold"), &[], json!({ "wait": null })).await;
    client.request(("GET", "/hold-body/100000"), &[], json!({ "wait": 1 })).await;
    eventually("the origin is asked", async || site.origin(0).connections() == 2).await;
    client.tell(json!({ "do": "close" })).await;
    site.idle().await;
    eventually("its connections are closed", async || site.origin(0).connections() == 0).await;
}

#[tokio::test]
async fn an_answer_may_come_before_the_request_has_ended() {
    let site = site().set("listener.public.limits.request_body", 100_000).origin(Origin::echo()).start().await;
    let client = Arc::new(Aioquic::start()).connect(&site).await;
    for _ in 0..20 {
        // Refused for its length, and then in the middle of it, while the rest is on its way.
        let announced = [("content-length", "10000000")];
        for fields in [&announced[..], &[]] {
            let answer = client.request(("POST", "/"), fields, json!({ "pattern": 10_000_000 })).await;
            assert_eq!((&answer["status"], &answer["reset"]), (&json!(413), &json!(null)), "{answer}");
            let stopped = client.tell(json!({ "do": "stopped", "stream": answer["stream"] })).await;
            assert_eq!(stopped["stopped"], NO_ERROR);
        }
    }
    assert_eq!(client.get("/").await.status, 200);
    site.idle().await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_never_looks_whole() {
    let (site, client) = started(site()).await;
    for path in ["/cut/50000", "/cut-chunked/50000"] {
        let answer = client.request(("GET", path), &[], json!({})).await;
        // A reset may overtake what was sent before it (RFC 9000, section 3.2).
        assert_eq!(answer["reset"], INTERNAL_ERROR, "{path}: {answer}");
    }
    site.idle().await;
}

#[tokio::test]
async fn a_host_that_drains_says_so_and_finishes_what_is_under_way() {
    let mut site = site().set("shutdown.drain", "1h").origin(Origin::echo()).start_process().await;
    let program = Arc::new(Aioquic::start());
    let (client, idle) = (program.connect(&site).await, program.connect(&site).await);
    let held = client.request(("GET", "/hold"), &[], json!({ "wait": null })).await;
    eventually("the origin is asked", async || site.origin(0).connections() == 1).await;
    site.process().signal("TERM");
    // Everything is served at first, and then what came up to now.
    let told = client.tell(json!({ "do": "goaway", "count": 2 })).await;
    assert_eq!(told["goaway"], json!([(1_u64 << 62) - 4, 4]), "{told}");
    let late = client.request(("GET", "/late"), &[], json!({})).await;
    assert_eq!(late["reset"], REQUEST_REJECTED, "it is safe to ask elsewhere: {late}");
    let closed = idle.tell(json!({ "do": "closed" })).await;
    assert_eq!(closed["closed"]["code"], NO_ERROR);
    let (_, refused) = program.try_connect(&site, json!({})).await;
    assert_eq!(refused["connected"], false, "{refused}");
    site.origin(0).release();
    let answer = client.tell(json!({ "do": "answer", "stream": held["stream"] })).await;
    assert_eq!((&answer["status"], &answer["reset"]), (&json!(200), &json!(null)), "{answer}");
    let closed = client.tell(json!({ "do": "closed" })).await;
    assert_eq!(closed["closed"]["code"], NO_ERROR);
    assert_eq!(site.process().wait().await.code, Some(0));
}

#[tokio::test]
async fn what_is_not_finished_when_the_drain_is_over_is_cut() {
    let mut site = site().set("shutdown.drain", "500ms").origin(Origin::echo()).start_process().await;
    let client = Arc::new(Aioquic::start()).connect(&site).await;
    let begun = client.request(("GET", "/hold-body/100000"), &[], json!({ "wait": 1 })).await;
    site.process().signal("TERM");
    let answer = client.tell(json!({ "do": "answer", "stream": begun["stream"] })).await;
    assert!(answer["length"].as_u64() < Some(200_000), "{answer}");
    assert!(!answer["reset"].is_null() || !answer["closed"].is_null(), "it does not look whole: {answer}");
    assert_eq!(site.process().wait().await.code, Some(0));
}
