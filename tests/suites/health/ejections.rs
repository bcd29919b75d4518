//! Endpoints that are left alone for what came of requests, and how they come back.

use std::time::Duration;

use harness::{Answer, Http, Origin, Running, Site, eventually};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Moody, becomes, endpoint, reason_of, state_of};

fn site(ejection: Value) -> Site {
    Site::new().set("upstream.web.ejection", ejection)
}

#[tokio::test]
async fn failures_in_a_row_have_an_endpoint_left_alone_and_taken_back() {
    let ((one, first), (_other, second)) = (Moody::new("one"), Moody::new("other"));
    let site = site(json!({ "failures": 3, "time": "500ms" })).origin(first).origin(second).start().await;
    let mut client = site.connect(Http::H1).await;
    one.answers(502);
    let mut failed = 0;
    eventually("one is left alone", async || {
        failed += usize::from(client.get("/").await.status == 502);
        endpoint(&site, 0).await["state"] == "unhealthy"
    })
    .await;
    assert!((3..=4).contains(&failed), "{failed}");
    let seen = endpoint(&site, 0).await;
    assert_eq!(seen["reason"], "left alone for 500ms: 3 failures in a row");
    one.answers(200);
    becomes(&site, 0, "healthy").await;
    eventually("one is asked again", async || client.get("/").await.text() == "one").await;
    let metrics = site.admin().metrics().await;
    assert_eq!(metrics.count("palisade_endpoint_ejections_total", &[("upstream", "web")]), 1);
    assert_eq!(metrics.count("palisade_endpoint_up", &[("upstream", "web")]), 2);
}

#[tokio::test]
async fn a_single_endpoint_and_more_than_a_share_are_never_left_alone() {
    let (moody, origin) = Moody::new("one");
    let site = site(json!({ "failures": 1 })).origin(origin).start().await;
    let mut client = site.connect(Http::H1).await;
    moody.answers(503);
    for _ in 0..10 {
        assert_eq!(client.get("/").await.status, 503);
    }
    assert_eq!((endpoint(&site, 0).await["state"].as_str(), moody.asked()), (Some("healthy"), 10));
}

#[tokio::test]
async fn two_of_four_that_fail_are_left_alone_and_the_third_is_not() {
    let all = ["a", "b", "c", "d"].map(Moody::new);
    let mut site = site(json!({ "failures": 1, "statuses": ["500-599"] }));
    let mut moods = Vec::new();
    for (mood, origin) in all {
        site = site.origin(origin);
        moods.push(mood);
    }
    let site = site.start().await;
    moods.iter().take(3).for_each(|mood| mood.answers(500));
    let mut client = site.connect(Http::H1).await;
    for _ in 0..60 {
        client.get("/").await;
    }
    let down = async || {
        let listed = site.admin().get("/endpoints").await.json();
        listed["endpoints"].as_array().into_iter().flatten().filter(|entry| entry["state"] == "unhealthy").count()
    };
    eventually("two are left alone", async || down().await == 2).await;
    for _ in 0..20 {
        client.get("/").await;
    }
    assert_eq!(down().await, 2);
}

#[tokio::test]
async fn a_share_of_failures_and_a_slow_median_are_seen() {
    let failing = std::sync::atomic::AtomicUsize::new(0);
    let origin = Origin::answering(move |_| {
        let nth = failing.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Answer::status(if nth.is_multiple_of(2) { 503 } else { 200 })
    });
    let rules = json!({ "failures": "off", "error_percent": 40, "requests": 10, "window": "60s" });
    let pair = site(rules).origin(origin).origin(Origin::echo()).start().await;
    asked_until(&pair, 0, "of ").await;

    // In turns: the host's own choice would leave the slow one alone before its answers are many enough to judge.
    let slow = Origin::answering(|_| Answer::status(200).after(Duration::from_millis(600)));
    let rules = json!({ "failures": "off", "latency_factor": 3, "requests": 5, "window": "60s" });
    let quick = || Origin::answering(|_| Answer::status(200).after(Duration::from_millis(2)));
    let in_turn = json!({ "algorithm": "weighted_round_robin" });
    let three = site(rules).plugin("turns", "balance", in_turn).chain(&["turns"]);
    let three = three.origin(slow).origin(quick()).origin(quick());
    asked_until(&three.start().await, 0, "its answers take ").await;
}

/// Asks from several clients at a time until the endpoint is left alone for this reason.
async fn asked_until(site: &Running, index: usize, reason: &str) {
    let mut clients = JoinSet::new();
    for _ in 0..6 {
        let mut client = site.connect(Http::H1).await;
        clients.spawn(async move {
            loop {
                client.get("/").await;
            }
        });
    }
    eventually("it is left alone", async || {
        let seen = endpoint(site, index).await;
        state_of(&seen) == "unhealthy" && reason_of(&seen).contains(reason)
    })
    .await;
}

#[tokio::test]
async fn who_comes_back_begins_with_a_small_share() {
    let ((one, first), (_other, second)) = (Moody::new("one"), Moody::new("other"));
    let site = site(json!({ "failures": 1, "time": "100ms" }))
        .set("upstream.web.slow_start", "1h")
        .origin(first)
        .origin(second)
        .start()
        .await;
    // Those that are there from the beginning have their whole share.
    assert_eq!(endpoint(&site, 0).await["share"], 1.0);
    let mut client = site.connect(Http::H1).await;
    one.answers(503);
    eventually("one is left alone", async || {
        client.get("/").await;
        endpoint(&site, 0).await["ejections"] == 1
    })
    .await;
    one.answers(200);
    let seen = becomes(&site, 0, "healthy").await;
    assert!(seen["share"].as_f64().is_some_and(|share| (0.1..0.2).contains(&share)), "{seen}");
}
