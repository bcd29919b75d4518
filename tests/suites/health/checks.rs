//! Active checks: what each kind asks, what it makes of the answers, and what requests meet meanwhile.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harness::{Answer, Http, Origin, Running, Site};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::{Moody, becomes, endpoint};
use crate::endpoint::serving;

/// A check at a pace for tests.
fn quick(mut check: Value) -> Value {
    let pace = json!({ "interval": "100ms", "jitter": "0ms", "timeout": "2s" });
    if let (Some(check), Some(pace)) = (check.as_object_mut(), pace.as_object()) {
        for (key, value) in pace {
            check.entry(key).or_insert(value.clone());
        }
    }
    check
}

fn site(check: Value) -> Site {
    Site::new().set("upstream.web.health", quick(check))
}

#[tokio::test]
async fn an_endpoint_that_fails_its_checks_gets_no_request_until_it_passes_them() {
    let ((one, first), (other, second)) = (Moody::new("one"), Moody::new("other"));
    let site = site(json!({ "check": "http", "path": "/healthz" })).origin(first).origin(second).start().await;
    let mut client = site.connect(Http::H1).await;
    // The first word came before the host was up.
    assert_eq!(
        (&endpoint(&site, 0).await["state"], &endpoint(&site, 1).await["state"]),
        (&json!("healthy"), &json!("healthy"))
    );
    one.answers(503);
    let seen = becomes(&site, 0, "unhealthy").await;
    assert_eq!(seen["reason"], "check: it answers 503");
    let before = one.asked();
    for _ in 0..20 {
        assert_eq!(client.get("/").await.text(), "other");
    }
    assert_eq!(one.asked(), before);
    // With none left there is an answer at once.
    other.answers(500);
    becomes(&site, 1, "unhealthy").await;
    let began = Instant::now();
    assert_eq!(client.get("/").await.status, 503);
    assert!(began.elapsed() < Duration::from_secs(2));
    one.answers(200);
    becomes(&site, 0, "healthy").await;
    assert_eq!(client.get("/").await.text(), "one");
}

#[tokio::test]
async fn with_too_few_left_all_are_asked_where_that_is_written() {
    let ((one, first), (other, second)) = (Moody::new("one"), Moody::new("other"));
    let site = site(json!({ "check": "http", "path": "/status/500" })).set("upstream.web.panic_percent", 50);
    let site = site.origin(first).origin(second).start().await;
    becomes(&site, 0, "healthy").await;
    for moody in [&one, &other] {
        moody.answers(404);
    }
    becomes(&site, 0, "unhealthy").await;
    becomes(&site, 1, "unhealthy").await;
    assert_eq!(site.get("/").await.status, 404);
}

#[tokio::test]
async fn a_check_is_about_the_status_and_the_body_and_asks_as_it_is_told() {
    for (check, expected) in [
        (json!({ "check": "http", "path": "/status/204" }), None),
        (json!({ "check": "http", "path": "/status/404" }), Some("check: it answers 404")),
        (json!({ "check": "http", "path": "/status/404", "status": [404] }), None),
        (json!({ "check": "http", "path": "/status/204", "status": [200, "205-299"] }), Some("check: it answers 204")),
        (json!({ "check": "http", "path": "/a?b=c", "host": "checked.test", "body": "checked.test" }), None),
        (json!({ "check": "http", "path": "/a?b=c", "body": "/a?b=c" }), None),
        (json!({ "check": "http", "body": "nothing" }), Some("check: its answer has no \"nothing\" in it")),
        (
            json!({ "check": "http", "path": "/bytes/1000000", "body": "nothing" }),
            Some("check: its answer has no \"nothing\" in it"),
        ),
        (json!({ "check": "http", "path": "/hold", "timeout": "100ms" }), Some("check: no answer within 100ms")),
        (json!({ "check": "tcp" }), None),
    ] {
        let site = site(check.clone()).origin(Origin::echo()).start().await;
        let seen = endpoint(&site, 0).await;
        assert_eq!((seen["reason"].as_str(), seen["state"] == "healthy"), (expected, expected.is_none()), "{check}");
    }
}

#[tokio::test]
async fn a_check_speaks_as_requests_do() {
    let check = json!({ "check": "http", "path": "/status/200" });
    let tls = json!({ "ca": "ca.pem", "server_name": "www.example.test" });
    let with = |protocol: &str, tls: Value| {
        site(check.clone()).set("upstream.web.protocol", protocol).set("upstream.web.tls", tls)
    };
    for (site, origin) in [
        (with("h2", json!(false)), Origin::echo_over_http2(10)),
        (with("h1", tls.clone()), Origin::echo_over_tls()),
        (with("h2", tls.clone()), Origin::echo_by_alpn(&["h2"])),
        (with("auto", tls.clone()), Origin::echo_by_alpn(&["http/1.1"])),
        (site(json!({ "check": "tls" })).set("upstream.web.tls", tls.clone()), Origin::echo_over_tls()),
    ] {
        let site = site.origin(origin).start().await;
        assert_eq!(endpoint(&site, 0).await["reason"], Value::Null);
        assert_eq!(site.get("/").await.status, 200);
    }
    // A name that its certificate does not have, and no TLS at all.
    let other = json!({ "ca": "ca.pem", "server_name": "elsewhere.test" });
    for (tls, origin) in [(other, Origin::echo_over_tls()), (tls, Origin::echo())] {
        let site = site(json!({ "check": "tls" })).set("upstream.web.tls", tls).origin(origin).start().await;
        let seen = endpoint(&site, 0).await;
        assert!(seen["reason"].as_str().is_some_and(|reason| reason.starts_with("check: no TLS: ")), "{seen}");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_down_until_it_is() {
    // An address of its own: nobody else takes the port meanwhile.
    let socket = TcpListener::bind("127.0.83.1:0").await.expect("a socket");
    let address = socket.local_addr().expect("an address");
    drop(socket);
    let site = before(address, json!({ "check": "tcp" })).await;
    let seen = endpoint(&site, 0).await;
    assert_eq!(
        (seen["state"].as_str(), seen["reason"].as_str().map(|reason| reason.contains("refused"))),
        (Some("unhealthy"), Some(true))
    );
    assert_eq!(site.get("/").await.status, 503);
    let socket = TcpListener::bind(address).await.expect("the same address");
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = socket.accept().await {
            kept.push(stream);
        }
    });
    becomes(&site, 0, "healthy").await;
}

#[tokio::test]
async fn checks_go_to_another_port_where_that_is_written_and_end_with_the_upstream() {
    let checked = Origin::echo();
    let port = checked.address().port();
    let site = site(json!({ "check": "http", "path": "/ping", "port": port })).origin(Origin::echo()).start().await;
    assert_eq!(endpoint(&site, 0).await["state"], "healthy");
    assert!(checked.seen().iter().any(|seen| seen.target == "/ping"));
    assert!(site.origin(0).seen().is_empty());
    let config = site.folder().path().join("palisade.toml");
    let text = std::fs::read_to_string(&config).expect("a config");
    let without = text.split_once("[upstream.web.health]").map(|(before, after)| {
        format!("{before}{}", after.split_once("\n[").map(|(_, rest)| format!("[{rest}")).unwrap_or_default())
    });
    std::fs::write(&config, without.expect("a health table")).expect("a config");
    assert_eq!(site.admin().reload().await.0, 200);
    let asked = checked.seen().len();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(checked.seen().len(), asked);
    assert_eq!(site.get("/").await.status, 200);
}

#[tokio::test]
async fn an_answer_to_a_check_that_never_ends_is_given_up() {
    // More and more of a head, and nothing.
    let address = serving(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let more = [b'a'; 16 << 10];
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 200 OK\r\nx: ").await;
        while tokio::io::AsyncWriteExt::write_all(&mut stream, &more).await.is_ok() {}
    })
    .await;
    let site = before(address, json!({ "check": "http" })).await;
    let seen = endpoint(&site, 0).await;
    assert!(seen["reason"].as_str().is_some_and(|reason| reason.starts_with("check: no answer")), "{seen}");
}

#[tokio::test]
async fn a_body_is_searched_as_it_comes() {
    let origin = Origin::answering(|_| Answer::body("x".repeat(40_000) + "fine" + &"x".repeat(40_000)));
    let site = site(json!({ "check": "http", "body": "fine" })).origin(origin).start().await;
    assert_eq!(endpoint(&site, 0).await["state"], "healthy");
}

async fn before(address: SocketAddr, check: Value) -> Running {
    site(check).set("upstream.web.endpoints", json!([address.to_string()])).start().await
}
