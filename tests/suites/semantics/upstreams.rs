//! Endpoints that fail: each in its way, and what the client is told.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use harness::{Body, ClientError, Http, Origin, Running, Site, eventually};
use http::Request;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::endpoint::{OK, serving};

#[tokio::test]
async fn an_endpoint_that_is_down_is_a_502() {
    let site = Site::new().set("upstream.web.endpoints", json!([nobody().to_string()])).start().await;
    check(&site, "/", 502, "connect").await;
}

#[tokio::test]
async fn an_endpoint_that_does_not_take_the_connection_is_a_504() {
    let full = Full::new().await;
    let site = Site::new()
        .set("upstream.web", json!({ "endpoints": [full.address.to_string()], "connect_timeout": "200ms" }))
        .start()
        .await;
    check(&site, "/", 504, "connect_timeout").await;
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_a_504() {
    let site = Site::new().set("upstream.web.response_timeout", "200ms").origin(Origin::echo()).start().await;
    check(&site, "/hold", 504, "response_timeout").await;
}

#[tokio::test]
async fn an_endpoint_that_stops_half_way_ends_the_answer_visibly() {
    let site = Site::new().set("upstream.web.body_timeout", "200ms").origin(Origin::echo()).start().await;
    for (http, number) in Http::ALL.into_iter().zip(1..) {
        let request = Request::get("/hold-body/1000").body(Body::empty()).expect("a request");
        match site.connect(http).await.send(request).await {
            Err(ClientError::Truncated { status: 200, received, .. }) => assert_eq!(received.len(), 1_000, "{http:?}"),
            other => panic!("{other:?} over {http:?}"),
        }
        eventually("it is counted", async || {
            let metrics = site.admin().metrics().await;
            let failures = metrics.sum("palisade_upstream_failures_total", &[("upstream", "web"), ("reason", "body")]);
            let endings = metrics.sum("palisade_endings_total", &[("ending", "truncated")]);
            (failures, endings) == (f64::from(number), f64::from(number))
        })
        .await;
    }
}

#[tokio::test]
async fn an_endpoint_has_no_more_connections_than_it_may() {
    let site = Site::new().set("upstream.web.connections", 1).origin(Origin::echo()).start().await;
    let mut first = site.connect(Http::H1).await;
    let waiting = tokio::spawn(async move { first.get("/hold").await });
    eventually("the endpoint is busy", async || site.origin(0).seen().len() == 1).await;
    let reply = site.get("/").await;
    assert_eq!((reply.status, reply.text()), (503, "service unavailable\n"));
    site.origin(0).release();
    assert_eq!(waiting.await.expect("a client that does not panic").status, 200);
    assert_eq!(site.get("/").await.status, 200);
}

#[tokio::test]
async fn an_endpoint_that_closes_before_its_answer_is_a_502() {
    check(&Site::new().origin(Origin::raw("")).start().await, "/", 502, "reset").await;
}

#[tokio::test]
async fn an_answer_that_breaks_the_rules_of_http_is_a_502() {
    for answer in [
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok!",
        "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\nok!",
        "HTTP/1.1 200 OK\r\nx y: 1\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ] {
        check(&Site::new().origin(Origin::raw(answer)).start().await, "/", 502, "protocol").await;
    }
}

/// Over every protocol the client is told the status and nothing else, and the reason is counted.
async fn check(site: &Running, path: &str, status: u16, reason: &str) {
    for http in Http::ALL {
        let reply = site.connect(http).await.get(path).await;
        let text = if status == 504 { "gateway timeout\n" } else { "bad gateway\n" };
        assert_eq!((reply.status, reply.text()), (status, text), "{http:?}, {reason}");
    }
    let metrics = site.admin().metrics().await;
    let failures = metrics.sum("palisade_upstream_failures_total", &[("upstream", "web"), ("reason", reason)]);
    assert!(failures >= 3.0, "{failures} failures by {reason}");
    assert!(metrics.sum("palisade_endings_total", &[("ending", "upstream-failed")]) >= 3.0);
    site.idle().await;
}

#[tokio::test]
async fn another_endpoint_is_tried_where_no_connection_can_be_made() {
    let alive = Origin::echo();
    let endpoints = json!([nobody().to_string(), nobody().to_string(), alive.address().to_string()]);
    let site = Site::new().set("upstream.web.endpoints", endpoints).start().await;
    for http in Http::ALL {
        let mut client = site.connect(http).await;
        for number in 0..20 {
            assert_eq!(client.post("/", "body").await.json()["body_bytes"], 4, "{http:?}, request {number}");
        }
    }
    assert_eq!(alive.seen().len(), 60);
}

#[tokio::test]
async fn an_endpoint_that_closes_unused_connections_fails_no_request() {
    let origin = impatient().await;
    let site = Site::new().set("upstream.web.endpoints", json!([origin.to_string()])).start().await;
    let mut client = site.connect(Http::Plain).await;
    for number in 0_u64..400 {
        assert_eq!(client.get("/").await.status, 200, "request {number}");
        // From at once to after the endpoint has closed.
        tokio::time::sleep(Duration::from_micros(number % 20 * 100)).await;
    }
}

#[tokio::test]
async fn what_an_endpoint_may_have_done_is_not_asked_for_again() {
    // It answers once on each connection, and then takes a request and closes.
    let asked = Arc::new(AtomicU64::new(0));
    let origin = serving({
        let asked = asked.clone();
        move |mut stream| {
            let asked = asked.clone();
            async move {
                let mut bytes = [0; 4096];
                while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {
                    if asked.fetch_add(1, Ordering::SeqCst) > 0 {
                        return;
                    }
                    let _ = stream.write_all(OK).await;
                }
            }
        }
    })
    .await;
    let site = Site::new().set("upstream.web.endpoints", json!([origin.to_string()])).start().await;
    let mut client = site.connect(Http::Plain).await;
    assert_eq!(client.get("/").await.status, 200);
    assert_eq!(client.post("/", "body").await.status, 502);
    assert_eq!(client.post("/", "").await.status, 502);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("an address")
}

/// A socket whose queue is full: the kernel does not answer further connections.
struct Full {
    address: SocketAddr,
    _socket: tokio::net::TcpListener,
    _queued: Vec<TcpStream>,
}

impl Full {
    async fn new() -> Self {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("an address");
        let socket = socket.listen(1).expect("it listens");
        let address = socket.local_addr().expect("an address");
        let mut queued = Vec::new();
        while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
            queued.push(stream);
        }
        Self { address, _socket: socket, _queued: queued }
    }
}

/// Answers each request, and closes each connection a moment after its answer: each a little later than the one before.
async fn impatient() -> SocketAddr {
    let micros = Arc::new(AtomicU64::new(0));
    serving(move |mut stream| {
        let pause = Duration::from_micros(micros.fetch_add(70, Ordering::Relaxed) % 1_500);
        async move {
            let mut head = [0; 4096];
            if stream.read(&mut head).await.is_ok_and(|read| read > 0) {
                let _ = stream.write_all(OK).await;
                tokio::time::sleep(pause).await;
            }
        }
    })
    .await
}
