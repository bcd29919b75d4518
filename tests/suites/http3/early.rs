//! Requests that come before their client's handshake is done (0-RTT; RFC 8470).

use std::sync::Arc;

use harness::{Aioquic, Origin, Quic, Running, Site, eventually};
use serde_json::{Value, json};

use super::site;

fn taking_early_data() -> Site {
    site().set("listener.public.tls.early_data", true).origin(Origin::echo())
}

/// What the origin was asked, and whether it was told that it came early.
fn asked(site: &Running) -> Vec<String> {
    let seen = site.origin(0).seen();
    let told = seen.iter().map(|seen| format!("{} {} {:?}", seen.method, seen.target, seen.values("early-data")));
    told.collect()
}

/// Sends a request with so many bytes of a body, and does not wait for what comes of it: its stream.
async fn send(client: &Quic, method: &str, path: &str, body_bytes: usize) -> Value {
    let more = if body_bytes == 0 { json!({ "wait": null }) } else { json!({ "wait": null, "pattern": body_bytes }) };
    client.request((method, path), &[], more).await.get("stream").cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_asks_goes_on_at_once_and_everything_else_when_the_handshake_is_done() {
    // A session of one worker is good on the others.
    let site = taking_early_data().set("workers", 4).start().await;
    let program = Arc::new(Aioquic::start());
    for round in 0..4 {
        let before = site.origin(0).seen().len();
        let first = program.connect(&site).await;
        assert_eq!(first.opened["early"], false);
        let client = program.resume(&site, &first, json!({})).await;
        let mut streams = Vec::new();
        for (method, body_bytes) in [("POST", 0), ("PUT", 300), ("GET", 3)] {
            streams.push(send(&client, method, "/held", body_bytes).await);
        }
        for method in ["HEAD", "GET"] {
            streams.push(send(&client, method, "/early", 0).await);
        }
        eventually("it is asked", async || site.origin(0).seen().len() == before + 2).await;
        let mut early = asked(&site).split_off(before);
        early.sort();
        assert_eq!(early, ["GET /early [\"1\"]", "HEAD /early [\"1\"]"], "round {round}");
        client.tell(json!({ "do": "hear" })).await;
        for stream in streams {
            let answer = client.tell(json!({ "do": "answer", "stream": stream })).await;
            assert_eq!((&answer["status"], &answer["reset"]), (&json!(200), &json!(null)), "{answer}");
        }
        assert_eq!(client.tell(json!({ "do": "connected" })).await["early"], true);
        let mut held = asked(&site).split_off(before + 2);
        held.sort();
        assert_eq!(held, ["GET /held []", "POST /held []", "PUT /held []"], "round {round}");
        // Once it is done, nothing is early any more.
        assert_eq!(client.get("/").await.json()["headers"].get("early-data"), None);
    }
    site.idle().await;
}

/// Whoever has a session can send its packets as if they came from anywhere.
#[tokio::test]
async fn a_client_that_has_not_shown_where_it_is_waits_for_the_end_of_its_handshake() {
    let site = taking_early_data().start().await;
    let program = Arc::new(Aioquic::start());
    let first = program.connect(&site).await;
    let client = program.resume(&site, &first, json!({ "token": false })).await;
    let stream = send(&client, "GET", "/", 0).await;
    client.tell(json!({ "do": "hear" })).await;
    let answer = client.tell(json!({ "do": "answer", "stream": stream })).await;
    assert_eq!(answer["status"], 200);
    assert_eq!(client.tell(json!({ "do": "connected" })).await["early"], true);
    // It would be told that it was early, if the handshake had not been waited for.
    assert_eq!(asked(&site), ["GET / []"]);
}

#[tokio::test]
async fn what_somebody_sends_once_more_is_not_done_once_more() {
    let site = taking_early_data().set("listener.public.limits.handshake_timeout", "2s").start().await;
    let program = Arc::new(Aioquic::start());
    let first = program.connect(&site).await;
    let client = program.resume(&site, &first, json!({})).await;
    send(&client, "POST", "/held", 0).await;
    send(&client, "GET", "/early", 0).await;
    eventually("it is asked", async || asked(&site) == ["GET /early [\"1\"]"]).await;
    let sent = client.tell(json!({ "do": "replay" })).await;
    assert!(sent["count"].as_u64() >= Some(2), "{sent}");
    let refused = [("reason", "handshake_timeout")];
    eventually("neither of both has shown who it is", async || {
        site.admin().metrics().await.count("palisade_connections_refused_total", &refused) == 2
    })
    .await;
    assert_eq!(asked(&site), ["GET /early [\"1\"]"]);
    site.idle().await;
}

#[tokio::test]
async fn a_client_that_says_itself_that_it_was_early_is_believed() {
    let site = taking_early_data().start().await;
    let program = Arc::new(Aioquic::start());
    let first = program.connect(&site).await;
    // RFC 8470, section 5.1: the field stays, and several of it are one.
    let fields = [("early-data", "1"), ("early-data", "2")];
    let answer = first.request(("GET", "/"), &fields[..1], json!({})).await;
    assert_eq!(answer["status"], 200);
    let client = program.resume(&site, &first, json!({})).await;
    client.request(("GET", "/"), &fields, json!({ "wait": null })).await;
    eventually("both are asked", async || asked(&site) == ["GET / [\"1\"]", "GET / [\"1\"]"]).await;
}

#[tokio::test]
async fn without_the_key_nothing_is_taken_early() {
    let site = site().origin(Origin::echo()).start().await;
    let program = Arc::new(Aioquic::start());
    let first = program.connect(&site).await;
    let client = program.resume(&site, &first, json!({ "forge": true })).await;
    let stream = send(&client, "GET", "/", 0).await;
    client.tell(json!({ "do": "hear" })).await;
    let answer = client.tell(json!({ "do": "answer", "stream": stream })).await;
    assert_eq!(answer["status"], 200);
    assert_eq!(client.tell(json!({ "do": "connected" })).await["early"], false);
    assert_eq!(asked(&site), ["GET / []"]);
}
