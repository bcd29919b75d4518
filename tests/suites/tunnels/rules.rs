//! What opens a tunnel, and what must not: requests that others have been smuggled by.

use harness::{Http, Raw, Running, Site};
use serde_json::json;

use super::endpoint::{ASK, Endpoint, GRANT};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

async fn site(endpoint: &Endpoint) -> Running {
    let rules = json!([{ "name": "denied", "action": "deny", "when": { "path_prefix": "/denied" } }]);
    let site = Site::new().plugin("wall", "firewall", json!({ "rules": rules }));
    let site = site.plugin("tag", "tag", json!({ "name": "x" })).chain(&["wall", "tag"]);
    let site = site.set("upstream.web.endpoints", json!([endpoint.address.to_string()]));
    site.route(json!({})).route(json!({ "path": "/none", "upgrades": [] })).start().await
}

async fn head(raw: &mut Raw) -> String {
    String::from_utf8_lossy(&raw.read_until("\r\n\r\n").await).to_ascii_lowercase()
}

#[tokio::test]
async fn a_tunnel_opens_after_a_101_and_both_heads_pass_the_chain() {
    for http in [Http::Plain, Http::H1] {
        let endpoint = Endpoint::answering(GRANT).await;
        let site = site(&endpoint).await;
        let mut raw = site.raw(http).await;
        raw.send(ASK).await;
        let answer = head(&mut raw).await;
        assert!(answer.starts_with("http/1.1 101 switching protocols\r\n"), "{answer}");
        for field in ["connection: upgrade", "upgrade: websocket", "x-tag: x", "sec-websocket-accept: s3pplmbi"] {
            assert_eq!(answer.matches(&format!("\r\n{field}")).count(), 1, "{field} in {answer}");
        }
        assert!(!answer.contains("content-length") && !answer.contains("transfer-encoding"), "{answer}");
        raw.send("\0hello").await;
        assert_eq!(raw.read_until("hello").await, b"\0hello", "{http:?}");
        let seen = endpoint.seen().to_ascii_lowercase();
        for field in ["connection: upgrade", "upgrade: websocket", "x-tag: x", "sec-websocket-key: dghlihnh"] {
            assert_eq!(seen.matches(&format!("\r\n{field}")).count(), 1, "{field} in {seen}");
        }
    }
}

#[tokio::test]
async fn what_is_no_upgrade_is_an_ordinary_request() {
    let asking = |fields: &str| format!("GET / HTTP/1.1\r\nhost: a\r\n{fields}\r\n\r\n");
    for request in [
        asking("connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQCAAAAAAIAAAAA"),
        asking("connection: upgrade\r\nupgrade: TLS/1.0"),
        asking("upgrade: websocket"),
        asking("connection: upgrade"),
        ASK.replace("GET", "DELETE"),
        ASK.replace("GET / ", "GET /none "),
        ASK.replace("HTTP/1.1", "HTTP/1.0"),
    ] {
        // It would grant anything, and must not be asked.
        let endpoint = Endpoint::answering(OK).await;
        let site = site(&endpoint).await;
        let mut raw = site.raw(Http::Plain).await;
        raw.send(&request).await;
        assert!(head(&mut raw).await.contains(" 200 ok\r\n"), "{request}");
        let seen = endpoint.seen().to_ascii_lowercase();
        assert!(!seen.contains("\r\nupgrade:") && !seen.contains("\r\nconnection:"), "{seen} for {request}");
        assert!(!seen.contains("http2-settings"), "{seen}");
    }
}

#[tokio::test]
async fn of_two_upgrades_one_is_passed_on() {
    for fields in ["upgrade: h2c, websocket", "upgrade: h2c\r\nupgrade: websocket", "upgrade: websocket, websocket"] {
        let endpoint = Endpoint::answering(GRANT).await;
        let site = site(&endpoint).await;
        let mut raw = site.raw(Http::Plain).await;
        raw.send(ASK.replace("upgrade: websocket", fields)).await;
        assert!(head(&mut raw).await.contains(" 101 "), "{fields}");
        let seen = endpoint.seen().to_ascii_lowercase();
        assert_eq!(seen.matches("\r\nupgrade: ").count(), 1, "{seen}");
        assert!(seen.contains("\r\nupgrade: websocket\r\n"), "{seen}");
    }
}

#[tokio::test]
async fn an_upgrade_with_a_body_is_refused() {
    for body in [
        "content-length: 5\r\n\r\nhello",
        "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "content-length: 33\r\n\r\nGET /denied HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        let endpoint = Endpoint::answering(GRANT).await;
        let site = site(&endpoint).await;
        let mut raw = site.raw(Http::Plain).await;
        raw.send(format!("{}{body}", ASK.trim_end_matches("\r\n").to_owned() + "\r\n")).await;
        assert!(head(&mut raw).await.starts_with("http/1.1 400 bad request\r\n"), "{body}");
        assert_eq!(endpoint.seen(), "", "{body}");
    }
}

#[tokio::test]
async fn a_101_that_was_not_asked_for_or_not_like_this_opens_nothing() {
    let grant = |fields: &str| format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n");
    for (request, answer) in [
        ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", GRANT.to_owned()),
        (ASK, grant("connection: upgrade\r\nupgrade: h2c\r\n")),
        (ASK, grant("connection: upgrade\r\nupgrade: websocket, h2c\r\n")),
        (ASK, grant("connection: upgrade\r\nupgrade: websocket\r\nupgrade: h2c\r\n")),
        (ASK, grant("upgrade: websocket\r\n")),
        (ASK, grant("connection: upgrade\r\n")),
        (ASK, grant("connection: upgrade\r\nupgrade: websocket\r\ncontent-length: 5\r\n")),
        (ASK, grant("connection: upgrade\r\nupgrade: websocket\r\ntransfer-encoding: chunked\r\n")),
    ] {
        let endpoint = Endpoint::answering(&answer).await;
        let site = site(&endpoint).await;
        let mut raw = site.raw(Http::Plain).await;
        raw.send(request).await;
        assert!(head(&mut raw).await.starts_with("http/1.1 502 bad gateway\r\n"), "{answer}");
        endpoint.closed().await;
        let failures =
            site.admin().metrics().await.count("palisade_upstream_failures_total", &[("reason", "protocol")]);
        assert_eq!(failures, 1, "{answer}");
    }
}

#[tokio::test]
async fn an_endpoint_that_does_not_switch_gives_an_ordinary_answer_and_what_follows_is_http() {
    let endpoint = Endpoint::answering(OK).await;
    let site = site(&endpoint).await;
    let mut raw = site.raw(Http::Plain).await;
    // What a client takes for the tunnel's first bytes is a request to the host, and to its chain.
    raw.send(format!("{ASK}GET /denied HTTP/1.1\r\nhost: a\r\n\r\n")).await;
    let answer = String::from_utf8_lossy(&raw.read_until("\r\n\r\nok").await).to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 200 ok\r\n") && !answer.contains("\r\nupgrade:"), "{answer}");
    assert!(head(&mut raw).await.starts_with("http/1.1 403 forbidden\r\n"));
    assert!(!endpoint.seen().contains("/denied"), "{}", endpoint.seen());
}

#[tokio::test]
async fn what_a_client_sends_before_the_101_is_never_passed_on() {
    for early in ["GET /denied HTTP/1.1\r\nhost: a\r\n\r\n", "\x01", "\r\n"] {
        for http in [Http::Plain, Http::H1] {
            let endpoint = Endpoint::answering(GRANT).await;
            let site = site(&endpoint).await;
            let mut raw = site.raw(http).await;
            raw.send(format!("{ASK}{early}")).await;
            let (answer, is_well) = raw.read_to_its_end().await;
            assert!(!is_well || answer.is_empty(), "{early:?}: {}", String::from_utf8_lossy(&answer));
            endpoint.closed().await;
            site.idle().await;
            let seen = endpoint.seen();
            assert!(seen.ends_with("\r\n\r\n") && seen.matches("\r\n\r\n").count() == 1, "{seen:?}");
            let metrics = site.admin().metrics().await;
            assert_eq!(metrics.count("palisade_endings_total", &[("ending", "truncated")]), 1, "{early:?}");
        }
    }
}

#[tokio::test]
async fn a_plugin_can_refuse_an_upgrade() {
    let endpoint = Endpoint::answering(GRANT).await;
    let site = site(&endpoint).await;
    let mut raw = site.raw(Http::H1).await;
    raw.send(ASK.replace("GET / ", "GET /denied ")).await;
    assert!(head(&mut raw).await.starts_with("http/1.1 403 forbidden\r\n"));
    assert_eq!(endpoint.seen(), "");
}

#[tokio::test]
async fn a_connection_that_only_offered_an_upgrade_ends_in_good_order() {
    let endpoint = Endpoint::answering(OK).await;
    let site = site(&endpoint).await;
    let mut raw = site.raw(Http::H1).await;
    raw.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: close, upgrade\r\nupgrade: h2c\r\n\r\n").await;
    let (answer, is_well) = raw.read_to_its_end().await;
    assert!(is_well && answer.ends_with(b"\r\n\r\nok"), "{}", String::from_utf8_lossy(&answer));
}
