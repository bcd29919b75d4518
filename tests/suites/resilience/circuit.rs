//! Upstreams that are left alone: for what is under way, what waits, and what has failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use harness::{Answer, Http, Origin, Reply, Running, Site, eventually};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::counted;

async fn behind(circuit: Value, connections: usize) -> Running {
    let site = Site::new().set("upstream.web.circuit", circuit).set("upstream.web.connections", connections);
    site.origin(Origin::echo()).start().await
}

/// So many requests that wait for the origin, each on a connection of its own.
async fn held(site: &Running, count: usize) -> Vec<JoinHandle<Reply>> {
    let mut asked = Vec::new();
    for _ in 0..count {
        let mut client = site.connect(Http::H1).await;
        asked.push(tokio::spawn(async move { client.get("/hold").await }));
    }
    asked
}

async fn all_answered(asked: Vec<JoinHandle<Reply>>) {
    for reply in asked {
        assert_eq!(reply.await.expect("a client that does not panic").status, 200);
    }
}

async fn refused(site: &Running, reason: &str) -> u64 {
    counted(site, "palisade_upstream_circuit_refusals_total", &[("reason", reason)]).await
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_may_be() {
    let site = behind(json!({ "requests": 3 }), 100).await;
    let asked = held(&site, 3).await;
    eventually("the origin is busy", async || site.origin(0).seen().len() == 3).await;
    for http in Http::ALL {
        let began = Instant::now();
        let reply = site.connect(http).await.get("/").await;
        assert_eq!((reply.status, reply.text()), (503, "service unavailable\n"), "{http:?}");
        assert!(began.elapsed() < Duration::from_secs(5), "at once");
    }
    assert_eq!((refused(&site, "requests").await, site.origin(0).seen().len()), (3, 3));
    site.origin(0).release();
    all_answered(asked).await;
    assert_eq!(site.get("/").await.status, 200);
}

#[tokio::test]
async fn an_answer_counts_until_its_last_byte() {
    let site = behind(json!({ "requests": 1 }), 100).await;
    let mut client = site.connect(Http::H1).await;
    let request = http::Request::get("/hold-body/1000").body(harness::Body::empty()).expect("a request");
    let begun = client.open(request).await.expect("a head");
    assert_eq!(site.get("/").await.status, 503);
    drop((begun, client));
    eventually("the place is free", async || site.get("/").await.status == 200).await;
}

#[tokio::test]
async fn requests_wait_for_a_connection_in_a_line_that_ends() {
    let site = behind(json!({ "pending": 2, "pending_timeout": "20s" }), 1).await;
    let first = held(&site, 1).await;
    eventually("the origin is busy", async || site.origin(0).seen().len() == 1).await;
    // Two wait, and whoever comes then is refused at once: one after the other until that is so.
    let mut waiting = held(&site, 2).await;
    eventually("the line is full", async || {
        let mut client = site.connect(Http::H1).await;
        let mut asked = tokio::spawn(async move { client.get("/").await });
        match tokio::time::timeout(Duration::from_millis(500), &mut asked).await {
            Ok(reply) => reply.expect("a client that does not panic").status == 503,
            Err(_) => {
                waiting.push(asked);
                false
            }
        }
    })
    .await;
    assert_eq!(site.origin(0).seen().len(), 1);
    assert!(refused(&site, "pending").await > 0);
    site.origin(0).release();
    all_answered(first).await;
    let mut answered = 0;
    for reply in waiting {
        answered += usize::from(reply.await.expect("a client that does not panic").status == 200);
    }
    assert_eq!(answered, 2);
    assert_eq!(site.origin(0).accepted(), 1, "all of them on the one connection");
    assert_eq!(site.get("/").await.status, 200);
}

#[tokio::test]
async fn who_waits_for_too_long_is_refused_and_who_leaves_waits_no_more() {
    let site = behind(json!({ "pending": 1, "pending_timeout": "300ms" }), 1).await;
    let first = held(&site, 1).await;
    eventually("the origin is busy", async || site.origin(0).seen().len() == 1).await;
    let began = Instant::now();
    assert_eq!(site.get("/").await.status, 503);
    assert!(began.elapsed() >= Duration::from_millis(290), "{:?}", began.elapsed());
    assert_eq!(refused(&site, "pending_timeout").await, 1);
    // The place in the line is free again.
    assert_eq!((site.get("/").await.status, refused(&site, "pending").await), (503, 0));
    assert_eq!(refused(&site, "pending_timeout").await, 2);
    site.origin(0).release();
    all_answered(first).await;
    assert_eq!(site.get("/").await.status, 200);
}

#[tokio::test]
async fn requests_wait_for_a_stream_as_they_do_for_a_connection() {
    let circuit = json!({ "pending": 10, "pending_timeout": "20s" });
    let upstream = json!({ "endpoints": [], "protocol": "h2", "connections": 1, "streams": 2, "circuit": circuit });
    let site = Site::new().set("upstream.web", upstream).origin(Origin::echo_over_http2(250)).start().await;
    let asked = held(&site, 5).await;
    eventually("the origin is busy", async || site.origin(0).seen().len() == 2).await;
    site.origin(0).release();
    all_answered(asked).await;
    assert_eq!((site.origin(0).seen().len(), site.origin(0).accepted()), (5, 1));
}

#[tokio::test]
async fn an_upstream_that_fails_is_left_alone_until_it_is_well_again() {
    let is_well = Arc::new(AtomicBool::new(false));
    let well = is_well.clone();
    let origin =
        Origin::answering(move |_| if well.load(Ordering::SeqCst) { Answer::body("ok") } else { Answer::status(500) });
    let error_rate = json!({ "percent": 50, "requests": 10, "open": "500ms", "trials": 2 });
    let site = Site::new()
        .set("upstream.web.circuit", json!({ "error_rate": error_rate }))
        .set("upstream.web.ejection", false)
        .origin(origin);
    let site = site.start().await;
    let mut client = site.connect(Http::H1).await;
    for _ in 0..10 {
        assert_eq!(client.get("/").await.status, 500);
    }
    assert_eq!(client.get("/").await.status, 503);
    assert_eq!((site.origin(0).seen().len(), refused(&site, "open").await), (10, 1));
    assert_eq!(counted(&site, "palisade_upstream_circuit", &[]).await, 2);
    // One is tried, which fails.
    eventually("it is tried", async || client.get("/").await.status == 500).await;
    assert_eq!(site.origin(0).seen().len(), 11);
    assert_eq!(client.get("/").await.status, 503);
    is_well.store(true, Ordering::SeqCst);
    eventually("it is well", async || client.get("/").await.status == 200).await;
    for _ in 0..20 {
        assert_eq!(client.get("/").await.status, 200);
    }
    assert_eq!(counted(&site, "palisade_upstream_circuit", &[]).await, 0);
}

#[tokio::test]
async fn a_circuit_that_is_tried_is_seen_to_be_half_open_and_one_that_is_new_to_be_closed() {
    let is_well = Arc::new(AtomicBool::new(false));
    let well = is_well.clone();
    let origin =
        Origin::answering(
            move |_| {
                if well.load(Ordering::SeqCst) { Answer::body("ok").held() } else { Answer::status(500) }
            },
        );
    let error_rate = |open: &str| json!({ "percent": 50, "requests": 5, "open": open, "trials": 1 });
    let site = Site::new()
        .set("upstream.web.circuit", json!({ "error_rate": error_rate("400ms") }))
        .set("upstream.web.ejection", false)
        .origin(origin);
    let site = site.start().await;
    let circuit = async || counted(&site, "palisade_upstream_circuit", &[]).await;
    for _ in 0..5 {
        assert_eq!(site.get("/").await.status, 500);
    }
    assert_eq!(circuit().await, 2);
    is_well.store(true, Ordering::SeqCst);
    let mut asked = Vec::new();
    eventually("one is tried", async || {
        // Refused while it is open, and held by the origin once it is tried.
        asked.extend(held(&site, 1).await);
        site.origin(0).seen().len() == 6
    })
    .await;
    assert_eq!(circuit().await, 1);
    // Another circuit is in its place: what becomes of the trial is nothing to that.
    let file = site.folder().path().join("palisade.toml");
    let text = std::fs::read_to_string(&file).expect("a config").replace("400ms", "900ms");
    crate::reload::rename(&file, text);
    eventually("the new one is closed", async || circuit().await == 0).await;
    site.origin(0).release();
    for reply in asked {
        assert!([200, 503].contains(&reply.await.expect("a client that does not panic").status));
    }
    assert_eq!(circuit().await, 0);
}
