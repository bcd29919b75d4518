//! Requests that go out once more: which, why, where, and with what.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use h2::Reason;
use h2::server::Builder;
use harness::{Answer, Body, Http, Origin, Running, Site};
use http::Request;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{ask, closing, counted};
use crate::endpoint::serving;
use crate::upstreams::spoken::{Count, answer, speaking};

/// A host before a bad endpoint and a good one.
async fn between(bad: std::net::SocketAddr, good: &Origin, retries: Value) -> Running {
    let endpoints = json!([bad.to_string(), good.address().to_string()]);
    // What comes of requests is not held against an endpoint here: each is asked again and again.
    let site = Site::new().set("upstream.web.endpoints", endpoints).set("upstream.web.ejection", false);
    if retries.is_null() { site } else { site.set("upstream.web.retries", retries) }.start().await
}

fn plenty(mut retries: Value) -> Value {
    if let Some(keys) = retries.as_object_mut() {
        keys.insert("budget".into(), json!({ "percent": 100, "minimum": 1_000 }));
    }
    retries
}

#[tokio::test]
async fn an_idempotent_request_that_an_endpoint_drops_is_answered_by_another_one() {
    let good = Origin::echo();
    // Without a word of configuration.
    let site = between(closing().await, &good, Value::Null).await;
    for http in Http::ALL {
        for number in 0..4 {
            assert_eq!(ask(&site, http, "GET", "").await.status, 200, "{http:?}, request {number}");
        }
    }
    assert_eq!(good.seen().len(), 12);
    assert!(counted(&site, "palisade_upstream_retries_total", &[("reason", "reset")]).await > 0);
}

#[tokio::test]
async fn nothing_that_an_endpoint_may_have_done_is_done_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = asked.clone();
    // It takes all of each request, and closes.
    let bad = serving(move |mut stream| {
        let asked = counting.clone();
        async move {
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"once") && stream.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {}
            asked.fetch_add(1, Ordering::SeqCst);
            let _ = stream.shutdown().await;
        }
    })
    .await;
    let good = Origin::echo();
    let on = json!(["connect", "reset", "refused", "timeout", "500", "502", "503"]);
    let site = between(bad, &good, plenty(json!({ "on": on, "attempts": 5 }))).await;
    let mut failed = 0;
    for number in 0..30 {
        let method = if number % 2 == 0 { "POST" } else { "PATCH" };
        failed += usize::from(ask(&site, Http::H1, method, "once").await.status == 502);
    }
    assert_eq!((asked.load(Ordering::SeqCst), good.seen().len()), (failed, 30 - failed));
    assert!(failed > 0);
}

#[tokio::test]
async fn an_answer_of_a_status_to_retry_on_is_that_of_another_endpoint() {
    for method in ["GET", "PUT", "DELETE", "POST"] {
        let bad = Origin::answering(|_| Answer::status(503).header("x-from", "bad"));
        let good = Origin::echo();
        let site = between(bad.address(), &good, plenty(json!({ "on": ["503"] }))).await;
        let mut statuses = Vec::new();
        for _ in 0..20 {
            statuses.push(ask(&site, Http::H2, method, "").await.status);
        }
        assert_eq!(statuses.iter().all(|status| *status == 200), method != "POST", "{method}: {statuses:?}");
        assert_eq!(bad.seen().len() + good.seen().len(), if method == "POST" { 20 } else { 20 + bad.seen().len() });
        assert!(!bad.seen().is_empty(), "{method}");
    }
}

#[tokio::test]
async fn what_the_last_endpoint_says_is_told_where_none_does_better() {
    let bad = |from: &'static str| Origin::answering(move |_| Answer::status(503).header("x-from", from));
    let retries = plenty(json!({ "on": ["503"], "attempts": 5 }));
    let site = Site::new()
        .set("upstream.web.ejection", false)
        .set("upstream.web.retries", retries)
        .origin(bad("one"))
        .origin(bad("two"))
        .start()
        .await;
    let reply = ask(&site, Http::H1, "GET", "").await;
    assert_eq!(reply.status, 503);
    assert!(["one", "two"].contains(&reply.header("x-from").unwrap_or_default()), "{reply:?}");
    // Each once: there is no other one.
    assert_eq!((site.origin(0).seen().len(), site.origin(1).seen().len()), (1, 1));
}

#[tokio::test]
async fn the_same_endpoint_is_asked_again_where_it_stands_for_many() {
    let asked = AtomicUsize::new(0);
    let origin = Origin::answering(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => Answer::status(502),
        _ => Answer::body("at last"),
    });
    let retries = plenty(json!({ "on": ["502"], "attempts": 2, "same_endpoint": true, "backoff": "1ms" }));
    let site = Site::new()
        .set("upstream.web.ejection", false)
        .set("upstream.web.retries", retries)
        .origin(origin)
        .start()
        .await;
    assert_eq!(ask(&site, Http::Plain, "GET", "").await.text(), "at last");
    assert_eq!(site.origin(0).seen().len(), 3);
}

#[tokio::test]
async fn a_try_that_hangs_is_given_up_for_another_endpoint() {
    let bad = Origin::answering(|_| Answer::body("bad").held());
    let good = Origin::answering(|_| Answer::body("good"));
    let retries = plenty(json!({ "on": ["timeout"], "per_try_timeout": "150ms" }));
    let site = between(bad.address(), &good, retries).await;
    while bad.seen().len() < 2 {
        assert_eq!(ask(&site, Http::H1, "GET", "").await.text(), "good");
    }
    assert!(counted(&site, "palisade_upstream_retries_total", &[("reason", "timeout")]).await > 0);
    // What cannot be repeated has the time that answers have.
    let mut client = site.connect(Http::H1).await;
    let posts = tokio::spawn(async move {
        let mut texts = Vec::new();
        for _ in 0..20 {
            texts.push(client.post("/", "").await.text().to_owned());
        }
        texts
    });
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    bad.release();
    let texts = posts.await.expect("a client that does not panic");
    assert!(texts.iter().any(|text| text == "bad"), "{texts:?}");
}

#[tokio::test]
async fn a_body_that_was_kept_goes_out_again_whole() {
    let is_first = Arc::new(AtomicBool::new(false));
    let first = is_first.clone();
    let origin =
        Origin::answering(move |_| Answer::status(if first.swap(false, Ordering::SeqCst) { 503 } else { 200 }));
    let retries = plenty(json!({ "on": ["503"], "body": "10 KiB", "same_endpoint": true, "backoff": "1ms" }));
    let site = Site::new().set("upstream.web.ejection", false).set("upstream.web.retries", retries).origin(origin);
    let site = site.start().await;
    for (bytes, is_announced, is_kept) in
        [(1, true, true), (10_000, true, true), (10_000, false, true), (20_000, false, false), (20_000, true, false)]
    {
        for http in Http::ALL {
            is_first.store(true, Ordering::SeqCst);
            let content: Vec<u8> = (0..bytes).map(|place: u32| place.to_le_bytes()[0]).collect();
            let (feed, body) = Body::fed(is_announced.then_some(u64::from(bytes)));
            let pieces: Vec<Vec<u8>> = content.chunks(999).map(Vec::from).collect();
            tokio::spawn(async move {
                for piece in pieces {
                    feed.send(piece).await;
                }
            });
            let before = site.origin(0).seen().len();
            let request = Request::put("/").body(body).expect("a request");
            let reply = site.connect(http).await.send(request).await.expect("an answer");
            let case = format!("{bytes} bytes, announced: {is_announced}, {http:?}");
            let seen = site.origin(0).seen().split_off(before);
            let expected = if is_kept { (200, 2) } else { (503, 1) };
            assert_eq!((reply.status, seen.len()), expected, "{case}");
            for seen in seen {
                assert_eq!((seen.body_bytes, seen.body_sha256), (Some(bytes.into()), sha256(&content)), "{case}");
            }
        }
    }
    site.idle().await;
}

fn sha256(content: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_connection_that_breaks_within_an_upload_costs_no_byte_of_it() {
    // It reads the head and a little more, and closes: the host has begun to read what the client sends.
    let bad = serving(|mut stream| async move {
        let mut bytes = Vec::new();
        while bytes.len() < 300 && stream.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {}
        let _ = stream.shutdown().await;
    })
    .await;
    let good = Origin::echo();
    let site = between(bad, &good, plenty(json!({}))).await;
    for http in Http::ALL {
        for _ in 0..6 {
            let (feed, body) = Body::fed(None);
            let upload = tokio::spawn(async move {
                for _ in 0..20 {
                    feed.send(vec![7; 1_000]).await;
                    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                }
            });
            let request = Request::put("/").body(body).expect("a request");
            let reply = site.connect(http).await.send(request).await.expect("an answer");
            assert_eq!((reply.status, reply.json()["body_bytes"].as_u64()), (200, Some(20_000)), "{http:?}");
            upload.await.expect("an upload");
        }
    }
    assert!(counted(&site, "palisade_upstream_retries_total", &[("reason", "reset")]).await > 0);
}

#[tokio::test]
async fn a_call_that_is_refused_goes_out_again_with_its_body_where_that_is_kept() {
    for (retries, expected, asked) in [(json!({}), 200, 2), (json!({ "body": 0 }), 502, 1)] {
        let count = Count::default();
        let counted = count.clone();
        let address = speaking(Builder::new(), move |(request, mut respond)| {
            let is_refused = counted.one() == 0;
            async move {
                if is_refused {
                    respond.send_reset(Reason::REFUSED_STREAM);
                    return;
                }
                let mut body = request.into_body();
                let mut bytes = 0;
                while let Some(Ok(data)) = body.data().await {
                    bytes += data.len();
                }
                assert_eq!(bytes, 4);
                answer(&mut respond);
            }
        })
        .await;
        let upstream = json!({ "endpoints": [address.to_string()], "protocol": "h2", "retries": retries });
        let site = Site::new().set("upstream.web", upstream).start().await;
        let reply = ask(&site, Http::H2, "POST", "call").await;
        assert_eq!((reply.status, count.get()), (expected, asked), "{retries}");
    }
}

#[tokio::test]
async fn no_request_is_sent_again_where_that_is_written() {
    let good = Origin::echo();
    let site = between(closing().await, &good, json!({ "attempts": 0 })).await;
    let mut statuses = Vec::new();
    for _ in 0..20 {
        statuses.push(ask(&site, Http::H1, "GET", "").await.status);
    }
    assert!(statuses.contains(&502), "{statuses:?}");
    assert_eq!(good.seen().len(), statuses.iter().filter(|status| **status == 200).count());
}

#[tokio::test]
async fn a_retry_is_told_in_the_access_log_and_to_whoever_asks() {
    let good = Origin::echo();
    let endpoints = json!([closing().await.to_string(), good.address().to_string()]);
    let site = Site::new().set("upstream.web.endpoints", endpoints).set("upstream.web.ejection", false);
    let mut site = site.start_process().await;
    for _ in 0..20 {
        assert_eq!(site.get("/").await.status, 200);
    }
    let admin = site.admin().address().to_string();
    let folder = site.folder().path().to_owned();
    let mut is_told = false;
    for _ in 0..40 {
        let arguments = ["explain", "--admin", &admin, "--json", "https://www.example.test/"];
        let ended = harness::run_command("palisade", &arguments, &folder).await;
        let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        let steps = report["steps"].as_array().cloned().unwrap_or_default();
        is_told |= steps.iter().any(|step| step["stage"] == "retry" && step["decision"] == "once more, after reset");
        if is_told {
            break;
        }
    }
    assert!(is_told);
    harness::eventually("the access log has a request with two attempts", async || {
        site.process().log().contains("\"attempts\":2")
    })
    .await;
}

#[tokio::test]
async fn a_good_endpoint_gets_no_request_twice() {
    // The first request of each connection is answered, the second dropped: a connection that was used is closed.
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = asked.clone();
    let bad = serving(move |mut stream| {
        let asked = counting.clone();
        async move {
            let mut bytes = [0; 4096];
            while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {
                if asked.fetch_add(1, Ordering::SeqCst) % 2 == 1 {
                    return;
                }
                let _ = stream.write_all(crate::endpoint::OK).await;
            }
        }
    })
    .await;
    let good = Origin::answering(|_| Answer::body("good"));
    let site = between(bad, &good, Value::Null).await;
    let mut client = site.connect(Http::H1).await;
    let mut by_good = 0;
    for number in 0..100 {
        let reply = client.get("/").await;
        assert_eq!(reply.status, 200, "request {number}");
        by_good += usize::from(reply.text() == "good");
    }
    assert_eq!(good.seen().len(), by_good);
}
