//! Requests that are slow to be answered, and go to a second endpoint.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use harness::{Answer, Body, Http, LIMIT, Origin, Running, Site, eventually};
use http::Request;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{ask, counted};
use crate::endpoint::serving;

async fn between(slow: std::net::SocketAddr, fast: &Origin, hedge: Value, budget: Value) -> Running {
    let endpoints = json!([slow.to_string(), fast.address().to_string()]);
    let upstream =
        json!({ "endpoints": endpoints, "ejection": false, "hedge": hedge, "retries": { "budget": budget } });
    Site::new().set("upstream.web", upstream).start().await
}

/// The same with a balancer that chooses so.
async fn balanced((slow, fast): (std::net::SocketAddr, &Origin), hedge: Value, settings: Value) -> Running {
    let endpoints = json!([slow.to_string(), fast.address().to_string()]);
    let retries = json!({ "budget": plenty() });
    let upstream = json!({ "endpoints": endpoints, "ejection": false, "hedge": hedge, "retries": retries });
    Site::new().set("upstream.web", upstream).plugin("lb", "balance", settings).chain(&["lb"]).start().await
}

fn plenty() -> Value {
    json!({ "percent": 100, "minimum": 1_000 })
}

#[tokio::test]
async fn the_first_good_answer_wins_and_the_other_exchange_is_cancelled() {
    // It takes requests, and counts those that are given up.
    let (asked, left) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (asking, leaving) = (asked.clone(), left.clone());
    let slow = serving(move |mut stream| {
        let (asked, left) = (asking.clone(), leaving.clone());
        async move {
            while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {
                asked.fetch_add(1, Ordering::SeqCst);
            }
            left.fetch_add(1, Ordering::SeqCst);
        }
    })
    .await;
    let fast = Origin::answering(|_| Answer::body("fast"));
    // In turn, as the host itself does not soon ask one again that was outrun.
    let in_turn = json!({ "algorithm": "weighted_round_robin" });
    let site = balanced((slow, &fast), json!({ "after": "30ms" }), in_turn).await;
    let began = Instant::now();
    let mut requests = 0;
    while asked.load(Ordering::SeqCst) < 5 {
        let method = if requests % 2 == 0 { "GET" } else { "DELETE" };
        assert_eq!(ask(&site, Http::ALL[requests % 3], method, "").await.text(), "fast");
        requests += 1;
    }
    assert!(began.elapsed() < LIMIT);
    eventually("what was slow is given up", async || left.load(Ordering::SeqCst) == 5).await;
    assert_eq!(fast.seen().len(), requests);
    assert_eq!(counted(&site, "palisade_upstream_hedges_total", &[("result", "sent")]).await, 5);
    assert_eq!(counted(&site, "palisade_upstream_hedges_total", &[("result", "won")]).await, 5);
    site.idle().await;
}

#[tokio::test]
async fn what_is_answered_in_time_or_may_not_be_sent_twice_goes_to_one_endpoint() {
    let late = || Origin::answering(|_| Answer::body("late").after(Duration::from_millis(150)));
    let first = late();
    let second = late();
    let site = between(first.address(), &second, json!({ "after": "10s" }), plenty()).await;
    assert_eq!(ask(&site, Http::H1, "GET", "").await.text(), "late");
    assert_eq!(first.seen().len() + second.seen().len(), 1);
    let site = between(first.address(), &second, json!({ "after": "20ms" }), plenty()).await;
    for (method, body) in [("POST", ""), ("POST", "body"), ("PUT", "body")] {
        assert_eq!(ask(&site, Http::H2, method, body).await.text(), "late", "{method} {body:?}");
    }
    assert_eq!(first.seen().len() + second.seen().len(), 4);
    assert_eq!(counted(&site, "palisade_upstream_hedges_total", &[("result", "sent")]).await, 0);
}

#[tokio::test]
async fn a_second_request_is_taken_from_the_budget() {
    let late = || Origin::answering(|_| Answer::body("late").after(Duration::from_millis(60)));
    let (first, second) = (late(), late());
    let site =
        between(first.address(), &second, json!({ "after": "10ms" }), json!({ "percent": 10, "minimum": 0 })).await;
    let mut client = site.connect(Http::H1).await;
    for _ in 0..40 {
        assert_eq!(client.get("/").await.text(), "late");
    }
    let seen = first.seen().len() + second.seen().len();
    assert!((41..=44).contains(&seen), "{seen}");
    assert!(counted(&site, "palisade_upstream_hedges_total", &[("result", "denied")]).await >= 36);
}

#[tokio::test]
async fn where_one_of_two_fails_the_other_is_awaited() {
    let broken = serving(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        tokio::time::sleep(Duration::from_millis(60)).await;
        let _ = stream.shutdown().await;
    })
    .await;
    let late = Origin::answering(|_| Answer::body("late").after(Duration::from_millis(200)));
    let site = between(broken, &late, json!({ "after": "20ms" }), plenty()).await;
    for number in 0..10 {
        let reply = ask(&site, Http::H1, "GET", "").await;
        assert_eq!((reply.status, reply.text()), (200, "late"), "request {number}");
    }
}

#[tokio::test]
async fn the_time_is_that_of_most_answers_where_these_take_longer() {
    let late = || Origin::answering(|_| Answer::body("late").after(Duration::from_millis(40)));
    let (first, second) = (late(), late());
    let site = between(first.address(), &second, json!({ "after": "1ms", "percentile": 99 }), plenty()).await;
    let mut client = site.connect(Http::H1).await;
    let mut hedged = Vec::new();
    for _ in 0..3 {
        for _ in 0..60 {
            assert_eq!(client.get("/").await.text(), "late");
        }
        hedged.push(counted(&site, "palisade_upstream_hedges_total", &[("result", "sent")]).await);
    }
    // Nearly all as long as nothing is known, and few from then on.
    assert!(hedged[0] >= 20, "{hedged:?}");
    assert!(hedged[2] - hedged[1] <= 20, "{hedged:?}");
}

/// The endpoint that a client with this cookie is sent to, and to no other: what may not be sent twice is not hedged.
async fn kept_by(site: &Running, cookie: &str) -> (u16, String) {
    let request = Request::post("/").header("cookie", cookie).body(Body::empty()).expect("a request");
    let reply = site.connect(Http::H1).await.send(request).await.expect("an answer");
    (reply.status, reply.text().to_owned())
}

#[tokio::test]
async fn what_the_balancer_says_to_a_client_is_of_the_endpoint_that_has_answered() {
    let sticky =
        json!({ "algorithm": "sticky_cookie", "cookie": { "name": "node", "secret": "at least sixteen bytes" } });
    let sent = async |site: &Running| counted(site, "palisade_upstream_hedges_total", &[("result", "sent")]).await;
    // The second one wins.
    let slow = Origin::answering(|_| Answer::body("slow").after(Duration::from_millis(700)));
    let fast = Origin::answering(|_| Answer::body("fast"));
    let site = balanced((slow.address(), &fast), json!({ "after": "30ms" }), sticky.clone()).await;
    let mut cookie = String::new();
    while sent(&site).await == 0 {
        let reply = ask(&site, Http::H1, "GET", "").await;
        assert_eq!(reply.text(), "fast");
        cookie = reply.header("set-cookie").and_then(|all| all.split(';').next()).expect("a cookie").to_owned();
    }
    assert_eq!(kept_by(&site, &cookie).await, (200, "fast".to_owned()));
    // The second one fails, and the first one answers after it.
    let broken = serving(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        tokio::time::sleep(Duration::from_millis(60)).await;
        let _ = stream.shutdown().await;
    })
    .await;
    let late = Origin::answering(|_| Answer::body("late").after(Duration::from_millis(300)));
    let site = balanced((broken, &late), json!({ "after": "20ms" }), sticky).await;
    for number in 0..8 {
        let reply = ask(&site, Http::H2, "GET", "").await;
        assert_eq!((reply.status, reply.text()), (200, "late"), "request {number}");
        let cookie = reply.header("set-cookie").and_then(|all| all.split(';').next()).expect("a cookie").to_owned();
        assert_eq!(kept_by(&site, &cookie).await, (200, "late".to_owned()), "request {number}");
    }
}
