//! How long clients are waited for: as long as the listener says, and at most a fifth longer.

use std::time::{Duration, Instant};

use harness::{Http, Origin, Running, Site, eventually};

/// Long enough that a busy machine is late by less than a fifth.
const LIMIT: Duration = Duration::from_secs(2);
/// No other limit may be the one that cuts.
const FAR: &str = "60s";

#[tokio::test]
async fn a_slow_head_is_cut() {
    check("header_timeout", Http::Plain, "GET / HTTP/1.1\r\nhost: a", "header_timeout").await;
}

#[tokio::test]
async fn a_head_that_drips_is_cut() {
    let site = site("header_timeout").await;
    let mut raw = site.raw(Http::Plain).await;
    let began = Instant::now();
    let mut drops = 0;
    // Each of them is progress, and none of them wins time.
    while raw.send("x: 1\r\n".get(drops % 6..=drops % 6).unwrap_or_default()).await && began.elapsed() < 5 * LIMIT {
        drops += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = began.elapsed();
    assert!(took >= LIMIT && took < 3 * LIMIT, "cut after {took:?}");
}

#[tokio::test]
async fn a_slow_body_is_cut() {
    check("body_timeout", Http::Plain, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf ", "body_timeout")
        .await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    check("idle_timeout", Http::Plain, "", "").await;
    check("idle_timeout", Http::H1, "GET / HTTP/1.1\r\nhost: a\r\n\r\n", "").await;
}

#[tokio::test]
async fn a_client_that_begins_no_handshake_is_cut() {
    let site = site("handshake_timeout").await;
    let stream = std::net::TcpStream::connect(site.address("public")).expect("a connection");
    let began = Instant::now();
    tokio::task::spawn_blocking(move || std::io::Read::read(&mut &stream, &mut [0; 1])).await.expect("read").ok();
    within_a_fifth(began.elapsed());
    refused(&site, "public", "handshake_timeout").await;
}

/// Sends this and then nothing: the connection ends in time, and is counted with this reason if any.
async fn check(limit: &str, http: Http, bytes: &str, reason: &str) {
    let site = site(limit).await;
    let mut raw = site.raw(http).await;
    raw.send(bytes).await;
    let began = Instant::now();
    raw.read_to_end().await;
    within_a_fifth(began.elapsed());
    if !reason.is_empty() {
        refused(&site, "plain", reason).await;
    }
    site.idle().await;
}

/// Counted from after the bytes were sent, so a little less than the limit is not too early.
#[track_caller]
fn within_a_fifth(took: Duration) {
    let fits = took + Duration::from_millis(50) >= LIMIT && took <= LIMIT + LIMIT / 5;
    assert!(fits, "ended after {took:?}, and the limit is {LIMIT:?}");
}

async fn refused(site: &Running, listener: &str, reason: &str) {
    eventually("the refusal is counted", async || {
        let labels = [("listener", listener), ("reason", reason)];
        site.admin().metrics().await.sum("palisade_connections_refused_total", &labels) > 0.0
    })
    .await;
}

/// With this limit short, and all others long.
async fn site(short: &str) -> Running {
    let mut site = Site::new().origin(Origin::echo());
    for listener in ["public", "plain"] {
        for limit in ["header_timeout", "body_timeout", "idle_timeout", "handshake_timeout"] {
            let text = if limit == short { format!("{}ms", LIMIT.as_millis()) } else { FAR.to_owned() };
            site = site.set(&format!("listener.{listener}.limits.{limit}"), text);
        }
    }
    site.start().await
}
