//! Endpoints that say when to come again (RFC 9110, section 10.2.3).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use harness::{Answer, Http, Origin, Running, Site};
use serde_json::{Value, json};

use super::ask;

/// An origin that refuses its first request with this word on when to come again, and answers all others.
fn busy(retry_after: &'static str) -> Origin {
    let asked = AtomicUsize::new(0);
    Origin::answering(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::status(503).header("retry-after", retry_after),
        _ => Answer::body("well"),
    })
}

async fn before(origins: impl IntoIterator<Item = Origin>, same_endpoint: Value) -> Running {
    let budget = json!({ "percent": 100, "minimum": 1_000 });
    let retries = json!({ "on": ["503"], "same_endpoint": same_endpoint, "backoff": "1ms", "budget": budget });
    let site = Site::new().set("upstream.web.ejection", false).set("upstream.web.retries", retries);
    origins.into_iter().fold(site, Site::origin).start().await
}

#[tokio::test]
async fn a_retry_at_the_same_endpoint_waits_for_as_long_as_it_asks() {
    let site = before([busy("1")], json!(true)).await;
    let began = Instant::now();
    assert_eq!(ask(&site, Http::H2, "GET", "").await.text(), "well");
    assert!(began.elapsed() >= Duration::from_millis(990), "{:?}", began.elapsed());
    assert_eq!(site.origin(0).seen().len(), 2);
}

#[tokio::test]
async fn one_that_asks_for_longer_than_anybody_waits_is_not_asked_again() {
    let site = before([busy("3600")], json!(true)).await;
    let began = Instant::now();
    let reply = ask(&site, Http::H1, "GET", "").await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("3600")));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(site.origin(0).seen().len(), 1);
    // Nobody but a retry is held up by it.
    assert_eq!(ask(&site, Http::H1, "GET", "").await.text(), "well");
}

#[tokio::test]
async fn retries_of_others_leave_it_alone_while_there_is_another_one() {
    // The first one always asks for peace; the second one fails now and then, and the third answers.
    let rests = Origin::answering(|_| Answer::status(503).header("retry-after", "60"));
    let fails = Origin::answering(|_| Answer::status(503));
    let site = before([rests, fails, Origin::answering(|_| Answer::body("well"))], json!(false)).await;
    let mut client = site.connect(Http::H1).await;
    while site.origin(0).seen().is_empty() {
        assert_eq!(client.get("/").await.text(), "well");
    }
    let began = Instant::now();
    for _ in 0..30 {
        assert_eq!(client.get("/").await.text(), "well");
    }
    assert!(began.elapsed() < Duration::from_secs(30), "nobody waited: {:?}", began.elapsed());
}
