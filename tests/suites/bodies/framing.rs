//! What stands around a body: lengths, chunks, trailers, and leave to send it.

use std::fmt::Write;

use harness::{Body, Http, Origin, Site};
use http::{HeaderMap, HeaderValue, Request};
use serde_json::json;
use sha2::{Digest, Sha256};

#[tokio::test]
async fn a_body_arrives_as_it_was_sent_however_it_is_framed() {
    let site = Site::new().origin(Origin::echo()).start().await;
    for http in Http::ALL {
        let mut client = site.connect(http).await;
        for (bytes, announced) in
            [(0, true), (1, true), (1, false), (70_000, true), (70_000, false), (3_000_000, false)]
        {
            let content: Vec<u8> = (0_u32..bytes).map(|place| place.to_le_bytes()[(place % 3) as usize]).collect();
            let (feed, body) = Body::fed(announced.then_some(bytes.into()));
            let pieces: Vec<Vec<u8>> = content.chunks(9_999).map(Vec::from).collect();
            tokio::spawn(async move {
                for piece in pieces {
                    feed.send(piece).await;
                }
            });
            let reply = client.send(Request::post("/").body(body).expect("a request")).await.expect("an answer");
            let echoed = reply.json();
            assert_eq!(echoed["body_bytes"], bytes, "announced: {announced}, over {http:?}");
            assert_eq!(echoed["body_sha256"], sha256(&content), "{bytes} bytes, announced: {announced}, over {http:?}");
            let framed = if announced { "content-length" } else { "transfer-encoding" };
            assert!(echoed["headers"].get(framed).is_some() || bytes == 0, "{echoed}");
        }
        for (path, length) in [("/bytes/1000000", Some("1000000")), ("/chunked/1000000", None), ("/bytes/0", Some("0"))]
        {
            let reply = client.get(path).await;
            assert_eq!(reply.header("content-length"), length, "{path} over {http:?}");
            assert_eq!(reply.body.len(), length.map_or(1_000_000, |length| length.parse().expect("a number")));
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("text");
        text
    })
}

#[tokio::test]
async fn trailers_of_an_answer_reach_whoever_takes_them() {
    let unannounced =
        Origin::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 42\r\n\r\n");
    let other = json!([unannounced.address().to_string()]);
    let site = Site::new()
        .set("upstream.other.endpoints", other)
        .origin(Origin::echo())
        .route(json!({}))
        .route(json!({ "path": "/unannounced", "upstream": "other" }))
        .start()
        .await;
    for (http, path, te, expected) in [
        (Http::Plain, "/trailers", true, Some("42")),
        (Http::H1, "/trailers", true, Some("42")),
        (Http::H2, "/trailers", true, Some("42")),
        (Http::H2, "/unannounced", true, Some("42")),
        // Who does not say that it takes them may not be sent any (RFC 9110, section 6.5.1).
        (Http::Plain, "/trailers", false, None),
    ] {
        let mut request = Request::get(path).body(Body::empty()).expect("a request");
        if te {
            request.headers_mut().insert("te", HeaderValue::from_static("trailers"));
        }
        let reply = site.connect(http).await.send(request).await.expect("an answer");
        let found = reply.trailers.get("x-sum").map(|value| value.to_str().expect("text"));
        assert_eq!(found, expected, "{path} over {http:?}, te: {te}");
        assert!(!reply.body.is_empty(), "{path} over {http:?}");
    }
}

#[tokio::test]
async fn trailers_of_a_request_reach_the_endpoint() {
    let site = Site::new().origin(Origin::echo()).start().await;
    for http in Http::ALL {
        let (feed, body) = Body::fed(None);
        tokio::spawn(async move {
            feed.send("body").await;
            feed.trailers(HeaderMap::from_iter([("x-sum".parse().expect("a name"), HeaderValue::from_static("42"))]))
                .await;
        });
        let request = Request::post("/").header("trailer", "x-sum").body(body).expect("a request");
        assert_eq!(site.connect(http).await.send(request).await.expect("an answer").json()["body_bytes"], 4);
        let seen = site.origin(0).seen().pop().expect("a request");
        assert_eq!(seen.trailers.get("x-sum"), Some(&HeaderValue::from_static("42")), "{http:?}");
    }
}

#[tokio::test]
async fn leave_to_send_a_body_is_given_only_where_it_will_be_read() {
    let site = Site::new()
        .set("listener.plain.limits.request_body", 100)
        .plugin("refuse", "reply", json!({ "status": 403, "body": "no" }))
        .route(json!({}))
        .route(json!({ "path": "/refused", "chain": ["refuse"] }))
        .origin(Origin::echo())
        .start()
        .await;
    for (path, length, expected) in [
        ("/", 5, "HTTP/1.1 100 Continue\r\n"),
        ("/", 101, "HTTP/1.1 413 Payload Too Large\r\n"),
        ("/refused", 5, "HTTP/1.1 403 Forbidden\r\n"),
    ] {
        let mut raw = site.raw(Http::Plain).await;
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n");
        raw.send(head).await;
        let line = raw.read_until("\r\n").await;
        assert_eq!(String::from_utf8_lossy(&line), expected, "{length} bytes for {path}");
    }
    let mut raw = site.raw(Http::Plain).await;
    raw.send("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\nconnection: close\r\n\r\n")
        .await;
    raw.read_until("\r\n\r\n").await;
    raw.send("hello").await;
    let answer = raw.read_to_end().await;
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    let seen = site.origin(0).seen().pop().expect("a request");
    assert_eq!((seen.body_bytes, seen.values("expect")), (Some(5), vec![]));
}

#[tokio::test]
async fn a_client_that_is_refused_while_it_sends_is_told_so() {
    let site = Site::new()
        .plugin("refuse", "reply", json!({ "status": 403, "body": "no" }))
        .chain(&["refuse"])
        .origin(Origin::echo())
        .start()
        .await;
    for http in Http::ALL {
        for bytes in [100_000, 5_000_000] {
            let request = Request::post("/").body(Body::from(vec![7; bytes])).expect("a request");
            let reply = site.connect(http).await.send(request).await;
            let reply = reply.unwrap_or_else(|error| panic!("{bytes} bytes over {http:?}: {error}"));
            assert_eq!((reply.status, reply.text()), (403, "no"), "{bytes} bytes over {http:?}");
        }
    }
}
