//! What plugins do with the bytes of connections.

use std::net::SocketAddr;

use harness::{Running, Site, eventually};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{echo, to};

/// A host that passes everything on to an endpoint which says "a" first, with the plugin `s` so set.
async fn site(settings: Value) -> Site {
    to(&[echo("a").await]).plugin("s", "stream", settings).set("listener.tcp.chain", json!(["s"]))
}

/// What comes back when these pieces are sent, each after the one before had time to arrive alone; none where the connection
/// is broken off.
async fn sends(address: SocketAddr, pieces: &[&str]) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let mut back = Vec::new();
    for piece in pieces {
        stream.write_all(piece.as_bytes()).await.ok()?;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    stream.shutdown().await.ok()?;
    stream.read_to_end(&mut back).await.ok()?;
    Some(String::from_utf8_lossy(&back).into_owned())
}

async fn kept(site: &Running) -> bool {
    site.idle().await;
    site.admin().metrics().await.sum("palisade_stream_kept", &[("plugin", "s")]) != 0.0
}

#[tokio::test]
async fn bytes_are_shown_changed_and_held_back_either_way() {
    for (settings, pieces, expected) in [
        (json!({ "shown": "skip" }), &["b"][..], Some("ab")),
        (json!({ "shown": "client" }), &["b", "c"], Some("abc")),
        (json!({ "shown": "client", "upper": true }), &["b", "c"], Some("aBC")),
        (json!({ "shown": "endpoint", "upper": true }), &["b", "c"], Some("ABC")),
        (json!({ "shown": "both", "refuses": "DROP" }), &["b", "DROP", "c"], None),
        (json!({ "shown": "close" }), &["b"], None),
        (json!({ "shown": "client", "lines": "" , "upper": true }), &["b", "c\n", "d"], Some("aBC\nD")),
        (json!({ "shown": "client", "lines": "", "refuses": "DROP" }), &["DR", "OP"], None),
        (json!({ "shown": "first", "lines": "" }), &["b", "c\n"], Some("abc\n")),
    ] {
        let site = site(settings.clone()).await.start().await;
        for _ in 0..3 {
            assert_eq!(sends(site.address("tcp"), pieces).await.as_deref(), expected, "{settings}");
        }
        eventually("nothing is kept", async || !kept(&site).await).await;
        let closed = if expected.is_some() { 0 } else { 3 };
        let ended = [("listener", "tcp"), ("ending", "closed")];
        assert_eq!(site.admin().metrics().await.count("palisade_endings_total", &ended), closed, "{settings}");
    }
}

#[tokio::test]
async fn a_plugin_sends_a_stream_to_another_upstream_by_what_it_begins_with() {
    let routes = json!([{ "upstream": "web", "alternatives": ["reader"] }]);
    let reader = json!({ "endpoints": [echo("r").await.to_string()] });
    let site = site(json!({ "shown": "first", "lines": "reader" }))
        .await
        .set("upstream.reader", reader)
        .set("listener.tcp.route", routes)
        .set("listener.tcp.limits.handshake_timeout", "2s")
        .start()
        .await;
    let address = site.address("tcp");
    assert_eq!(sends(address, &["rea", "der\n", "x"]).await.as_deref(), Some("rreader\nx"));
    assert_eq!(sends(address, &["writer\n"]).await.as_deref(), Some("awriter\n"));
    // A client that ends its half is shown to have, and is served.
    assert_eq!(sends(address, &["reader"]).await.as_deref(), Some("rreader"));
    // Not after an endpoint has been chosen: the plugin has failed then.
    assert_eq!(sends(address, &["writer\n", "reader\n"]).await, None);
    // Who says nothing is not waited for longer than the limit.
    let mut silent = TcpStream::connect(address).await.expect("a connection");
    let mut read = Vec::new();
    assert!(silent.read_to_end(&mut read).await.is_err() || read.is_empty(), "{read:?}");
    let refused = [("listener", "tcp"), ("reason", "handshake_timeout")];
    assert_eq!(site.admin().metrics().await.count("palisade_connections_refused_total", &refused), 1);
}

#[tokio::test]
async fn an_upstream_that_the_route_does_not_offer_is_not_chosen() {
    let site = site(json!({ "shown": "first", "lines": "web" })).await.start().await;
    assert_eq!(sends(site.address("tcp"), &["web\n"]).await, None);
    let failures = [("plugin", "s"), ("phase", "stream-filter")];
    eventually("it is counted", async || {
        site.admin().metrics().await.sum("palisade_plugin_failures_total", &failures) == 1.0
    })
    .await;
}

#[tokio::test]
async fn a_plugin_that_breaks_closes_or_lets_pass_as_its_policy_says_and_comes_back() {
    for (policy, expected) in [("closed", None), ("open", Some("abTRAPc"))] {
        let site = site(json!({ "shown": "client", "traps": "TRAP", "spins": "SPIN" }))
            .await
            .set("plugin.s.on_error", policy)
            .set("plugin.s.limits.deadline", "100ms")
            .set("plugin.s.backoff", json!({ "after": 100 }))
            .start()
            .await;
        let address = site.address("tcp");
        for _ in 0..2 {
            assert_eq!(sends(address, &["b", "TRAP", "c"]).await.as_deref(), expected, "{policy}");
            assert_eq!(sends(address, &["b"]).await.as_deref(), Some("ab"), "{policy}");
        }
        let spun = sends(address, &["SPIN"]).await;
        assert_eq!(spun.as_deref(), expected.map(|_| "aSPIN"), "{policy}");
        assert_eq!(sends(address, &["b"]).await.as_deref(), Some("ab"), "{policy}");
    }
}

#[tokio::test]
async fn what_is_held_back_has_the_operators_limit() {
    let site = site(json!({ "shown": "client", "lines": "" })).await.set("plugin.s.limits.body", "1 KiB").start().await;
    assert_eq!(
        sends(site.address("tcp"), &["x".repeat(1_000).as_str(), "\n"]).await.map(|back| back.len()),
        Some(1_002)
    );
    assert_eq!(sends(site.address("tcp"), &["x".repeat(1_000).as_str(), "x".repeat(100).as_str(), "\n"]).await, None);
}

#[tokio::test]
async fn a_plugin_that_did_not_load_lets_nothing_pass_where_it_is_closed() {
    let site = to(&[echo("a").await])
        .plugin("s", "stream", json!({ "shown": 5 }))
        .set("listener.tcp.chain", json!(["s"]))
        .with_problems()
        .start()
        .await;
    assert_eq!(sends(site.address("tcp"), &["b"]).await, None);
}

#[tokio::test]
async fn every_stream_has_an_instance_to_itself_where_that_is_asked_for() {
    let site = site(json!({ "shown": "both", "upper": true })).await.set("plugin.s.isolation", "request").start().await;
    for _ in 0..20 {
        assert_eq!(sends(site.address("tcp"), &["b"]).await.as_deref(), Some("AB"));
    }
    eventually("no instance is kept", async || {
        site.admin().metrics().await.sum("palisade_plugin_instances", &[("plugin", "s")]) <= 1.0
    })
    .await;
}
