//! One reading per message: what has more than one is refused, and what has one is passed on with its bounds.

use harness::{Body, Http, Origin, Site};
use http::{Method, Request};

#[tokio::test]
async fn a_request_has_one_host() {
    check(&[
        ("GET / HTTP/1.1\r\nhost: www.example.test\r\n\r\n", 200),
        ("GET / HTTP/1.1\r\nhost: www.example.test:8443\r\n\r\n", 200),
        ("GET / HTTP/1.1\r\nhost: [::1]:8443\r\n\r\n", 200),
        ("GET http://www.example.test/x HTTP/1.1\r\nhost: www.example.test\r\n\r\n", 200),
        ("GET http://www.example.test/x HTTP/1.1\r\nhost: other.test\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a.test\r\nhost: a.test\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a.test, b.test\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: user@a.test\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a.test:port\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a.test/x\r\n\r\n", 400),
        ("GET / HTTP/1.0\r\n\r\n", 200),
        ("OPTIONS * HTTP/1.1\r\nhost: a.test\r\n\r\n", 200),
        ("GET * HTTP/1.1\r\nhost: a.test\r\n\r\n", 400),
    ])
    .await;
}

#[tokio::test]
async fn a_body_has_one_length() {
    check(&[
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nok", 200),
        ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok", 400),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +2\r\n\r\nok", 400),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -2\r\n\r\nok", 400),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999\r\n\r\nok", 400),
        ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\nok", 400),
        ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nx\r\nok\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2 2\r\nok\r\n0\r\n\r\n", 400),
    ])
    .await;
}

#[tokio::test]
async fn a_head_is_well_formed() {
    check(&[
        ("GET / HTTP/1.1\r\nhost : a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a\r\nx\x01y: 1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a\r\n folded: 1\r\n\r\n", 400),
        ("GET /a b HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("G\x01T / HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\nhost: a\r\n\r\n", 400),
        ("GET a HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    ])
    .await;
}

#[tokio::test]
async fn a_tunnel_is_not_offered() {
    check(&[
        ("CONNECT a.test:443 HTTP/1.1\r\nhost: a.test:443\r\n\r\n", 501),
        ("CONNECT a.test:443 HTTP/1.1\r\nhost: a.test:443\r\ncontent-length: 5\r\n\r\nhello", 501),
    ])
    .await;
}

/// Each of these bytes on a connection of its own gets this status first, and the origin sees the good ones alone.
async fn check(cases: &[(&str, u16)]) {
    let site = Site::new().origin(Origin::echo()).start().await;
    for (bytes, expected) in cases {
        let mut raw = site.raw(Http::Plain).await;
        raw.send(bytes).await;
        let line = raw.read_until("\r\n").await;
        let line = String::from_utf8_lossy(&line);
        let status = line.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
        assert_eq!(status, Some(*expected), "{line:?} for {bytes:?}");
        drop(raw);
        site.idle().await;
    }
    for seen in site.origin(0).seen() {
        let framings = seen.values("content-length").len() + seen.values("transfer-encoding").len();
        assert!(framings <= 1, "{seen:?}");
    }
    let good = cases.iter().filter(|(_, status)| *status == 200).count();
    let whole = site.origin(0).seen().iter().filter(|seen| seen.body_bytes.is_some()).count();
    assert_eq!(whole, good);
}

#[tokio::test]
async fn requests_that_come_together_are_answered_in_their_order() {
    let site = Site::new().origin(Origin::echo()).start().await;
    let mut raw = site.raw(Http::Plain).await;
    let one = |path: &str, rest: &str| format!("GET {path} HTTP/1.1\r\nhost: a\r\n{rest}\r\n");
    raw.send(one("/1", "") + &one("/2", "") + &one("/bytes/70000", "") + &one("/3", "connection: close\r\n")).await;
    let answers = raw.read_to_end().await;
    let text = String::from_utf8_lossy(&answers);
    let places = ["\"/1\"", "\"/2\"", "content-length: 70000", "\"/3\""].map(|mark| text.find(mark));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}");
    assert_eq!(text.matches("HTTP/1.1 200 OK\r\n").count(), 4);
}

#[tokio::test]
async fn an_answer_without_a_body_is_framed_as_one() {
    let site = Site::new().origin(Origin::echo()).start().await;
    for http in Http::ALL {
        let mut client = site.connect(http).await;
        for (method, path, status, length) in [
            (Method::HEAD, "/bytes/1000", 200, Some("1000")),
            (Method::HEAD, "/status/404", 404, None),
            (Method::GET, "/status/204", 204, None),
            (Method::GET, "/status/304", 304, None),
            (Method::GET, "/bytes/3", 200, Some("3")),
        ] {
            let request = Request::builder().method(method.clone()).uri(path).body(Body::empty()).expect("a request");
            let reply = client.send(request).await.unwrap_or_else(|error| panic!("{method} {path} {http:?}: {error}"));
            let bytes = if (&method, status) == (&Method::GET, 200) { 3 } else { 0 };
            let found = (reply.status, reply.header("content-length"), reply.body.len());
            assert_eq!(found, (status, length, bytes), "{method} {path} over {http:?}");
        }
    }
}
