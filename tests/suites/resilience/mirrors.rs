//! Copies of requests for another upstream: whole, marked, bounded, and never waited for.

use std::time::Duration;

use harness::{Answer, Body, Http, Origin, Running, Site, eventually};
use http::Request;
use serde_json::{Value, json};

/// A host whose upstream `shadow` gets copies.
async fn mirrored(shadow: &Origin, mut mirror: Value) -> Running {
    if let Some(mirror) = mirror.as_object_mut() {
        mirror.insert("upstream".into(), json!("shadow"));
    }
    let shadow = json!({ "endpoints": [shadow.address().to_string()], "response_timeout": "20s" });
    Site::new().set("upstream.shadow", shadow).route(json!({ "mirror": mirror })).origin(Origin::echo()).start().await
}

async fn counted(site: &Running, result: &str) -> u64 {
    let labels = [("upstream", "shadow"), ("result", result)];
    site.admin().metrics().await.count("palisade_upstream_mirrored_total", &labels)
}

#[tokio::test]
async fn a_copy_is_what_the_endpoint_gets_and_its_answer_is_nobodys() {
    let shadow = Origin::answering(|_| Answer::status(500).header("x-from", "shadow"));
    let site = mirrored(&shadow, json!({})).await;
    for http in Http::ALL {
        for (method, body) in [("GET", ""), ("POST", "hello"), ("PUT", "")] {
            let before = shadow.seen().len();
            // The endpoint has a copy before the host has its answer, and only then is the connection free for the next one.
            eventually("those before are answered", async || counted(&site, "answered").await == before as u64).await;
            let request = Request::builder().method(method).uri("/a?b").header("x-own", "1").header("x-mirrored", "no");
            let reply = site.connect(http).await.send(request.body(Body::from(body)).expect("a request")).await;
            let reply = reply.expect("an answer");
            assert_eq!((reply.status, reply.header("x-from")), (200, None), "{method} over {http:?}");
            eventually("the copy arrives", async || {
                shadow.seen().get(before).is_some_and(|seen| seen.body_bytes.is_some())
            })
            .await;
            let (copy, own) = (shadow.seen().pop().expect("a copy"), site.origin(0).seen().pop().expect("a request"));
            assert_eq!((&copy.method, &copy.target), (&own.method, &own.target));
            assert_eq!((copy.body_bytes, &copy.body_sha256), (own.body_bytes, &own.body_sha256), "{method} {http:?}");
            assert_eq!((copy.values("x-own"), copy.values("host")), (own.values("x-own"), own.values("host")));
            assert_eq!((copy.values("x-mirrored"), own.values("x-mirrored")), (vec!["1"], vec!["no"]));
        }
    }
    eventually("all are answered", async || counted(&site, "answered").await == 9).await;
    assert_eq!((shadow.seen().len(), site.origin(0).seen().len()), (9, 9));
    assert_eq!(shadow.accepted(), 1, "one after the other, on the same connection");
}

#[tokio::test]
async fn nobody_waits_for_a_copy_and_no_more_are_under_way_than_may_be() {
    let shadow = Origin::answering(|_| Answer::body("late").held());
    let site = mirrored(&shadow, json!({ "requests": 3 })).await;
    let mut client = site.connect(Http::H1).await;
    for _ in 0..20 {
        assert_eq!(client.get("/").await.status, 200);
    }
    eventually("three copies have arrived", async || shadow.seen().len() == 3).await;
    assert_eq!(counted(&site, "dropped").await, 17);
    shadow.release();
    eventually("they are answered", async || counted(&site, "answered").await == 3).await;
    assert_eq!(client.get("/").await.status, 200);
    eventually("there is room again", async || shadow.seen().len() == 4).await;
}

#[tokio::test]
async fn a_share_of_the_requests_is_copied() {
    let shadow = Origin::echo();
    let site = mirrored(&shadow, json!({ "percent": 10, "requests": 10_000 })).await;
    let mut client = site.connect(Http::H1).await;
    for _ in 0..1_000 {
        assert_eq!(client.get("/").await.status, 200);
    }
    eventually("the copies are answered", async || {
        counted(&site, "answered").await == shadow.seen().len() as u64 && counted(&site, "dropped").await == 0
    })
    .await;
    // 100 expected; 50 are five times what they scatter by.
    assert!((50..=150).contains(&shadow.seen().len()), "{}", shadow.seen().len());
}

#[tokio::test]
async fn a_body_that_is_too_long_or_breaks_off_is_not_copied() {
    let shadow = Origin::echo();
    let site = mirrored(&shadow, json!({ "body": 1_000 })).await;
    for http in Http::ALL {
        for announced in [true, false] {
            let (feed, body) = Body::fed(announced.then_some(3_000));
            tokio::spawn(async move {
                for _ in 0..3 {
                    feed.send(vec![7; 1_000]).await;
                }
            });
            let reply = site.connect(http).await.send(Request::post("/").body(body).expect("a request")).await;
            assert_eq!(reply.expect("an answer").json()["body_bytes"], 3_000, "{http:?}");
        }
    }
    eventually("they are counted", async || counted(&site, "too_large").await == 6).await;
    let (feed, body) = Body::fed(Some(500));
    let mut client = site.connect(Http::H1).await;
    let cut = tokio::spawn(async move { client.send(Request::post("/").body(body).expect("a request")).await });
    feed.send(vec![7; 100]).await;
    eventually("the endpoint is asked", async || site.origin(0).seen().len() == 7).await;
    feed.cut().await;
    assert!(cut.await.expect("a client that does not panic").is_err());
    eventually("it is counted", async || counted(&site, "incomplete").await == 1).await;
    assert_eq!(shadow.seen().len(), 0);
}

#[tokio::test]
async fn an_upstream_that_is_down_fails_its_copies_alone() {
    let shadow = Origin::echo();
    let site = mirrored(&shadow, json!({})).await;
    drop(shadow);
    let mut client = site.connect(Http::H2).await;
    for _ in 0..10 {
        assert_eq!(client.get("/").await.status, 200);
    }
    eventually("they are counted", async || counted(&site, "failed").await == 10).await;
    tokio::time::timeout(Duration::from_secs(20), site.idle()).await.expect("nothing is under way");
}
