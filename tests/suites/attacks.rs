//! Attacks on the protocol itself: each is stopped, counted and logged, and good clients are served meanwhile.

use std::time::{Duration, Instant};

use harness::http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, PRIORITY, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, fields, frame, get,
};
use harness::{Http, Origin, Running, Site, eventually};
use serde_json::json;

/// What an attacker may get through before it is cut.
const ROUNDS_MAX: u32 = 2_000_000;

/// Within which it must be cut, on a machine that has much else to do.
const CUT_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_flood_of_settings_is_cut() {
    flood(&[], |_| frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]), "flood").await;
}

#[tokio::test]
async fn a_flood_of_pings_is_cut() {
    flood(&[], |_| frame(PING, 0, 0, &[0; 8]), "flood").await;
}

#[tokio::test]
async fn a_flood_of_priorities_is_cut() {
    flood(&[], |round| frame(PRIORITY, 0, 2 * round + 1, &[0, 0, 0, 0, 1]), "flood").await;
}

#[tokio::test]
async fn a_flood_of_window_updates_is_cut() {
    flood(&[], |_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]), "flood").await;
}

#[tokio::test]
async fn a_flood_of_empty_data_is_cut() {
    let head = [(":method", "POST"), (":scheme", "https"), (":path", "/slow"), (":authority", harness::HOST)];
    flood(&frame(HEADERS, END_HEADERS, 1, &fields(&head)), |_| frame(DATA, 0, 1, &[]), "flood").await;
}

#[tokio::test]
async fn frames_of_no_known_kind_are_cut() {
    flood(&[], |_| frame(0xbe, 0, 0, &[]), "flood").await;
}

/// CVE-2024-27316: a block of fields that does not end.
#[tokio::test]
async fn a_head_that_is_continued_without_end_is_cut() {
    let head = frame(HEADERS, END_STREAM, 1, &fields(&[(":method", "GET")]));
    let more = |round| frame(CONTINUATION, 0, 1, &fields(&[(&format!("x-{round}"), "1")]));
    flood(&head, more, "flood").await;
    flood(&head, |_| frame(CONTINUATION, 0, 1, &[]), "flood").await;
}

#[tokio::test]
async fn how_many_frames_of_control_there_may_be_is_the_listeners_to_say() {
    for (limit, per_second, is_cut) in [(100, 1, true), (1_000, 1, false)] {
        let site = Site::new().origin(Origin::answering(answer)).set("listener.public.limits.control_frames", limit);
        let site = site.set("listener.public.limits.control_frames_per_second", per_second).start().await;
        let mut raw = site.raw(Http::H2).await;
        raw.send(PREFACE).await;
        // Four of the credit each, of which each answer gives back none.
        raw.send(frame(PING, 0, 0, &[0; 8]).repeat(60)).await;
        let (mut pings, mut end) = (0, None);
        while pings < 60 && end.is_none() {
            let Some(header) = raw.read_exactly(9).await else { break };
            let length =
                header.get(..3).map_or(0, |bytes| bytes.iter().fold(0, |all, byte| all << 8 | usize::from(*byte)));
            let payload = raw.read_exactly(length).await.unwrap_or_default();
            match header.get(3) {
                Some(&PING) => pings += 1,
                Some(&GOAWAY) => end = payload.get(7).copied(),
                _ => {}
            }
        }
        assert_eq!((end, pings == 60), if is_cut { (Some(0xb), false) } else { (None, true) }, "{limit}: {pings}");
    }
}

/// CVE-2023-44487: requests that are cancelled as soon as they are made.
#[tokio::test]
async fn a_rapid_reset_is_cut() {
    let round = |round: u32| [get(2 * round + 1, "/slow"), frame(RST_STREAM, 0, 2 * round + 1, &[0, 0, 0, 8])].concat();
    flood(&[], round, "flood").await;
}

/// CVE-2025-8671: requests that the host has to reset itself, because what follows them is wrong.
#[tokio::test]
async fn making_the_host_reset_is_cut() {
    let by_window =
        |round: u32| [get(2 * round + 1, "/slow"), frame(WINDOW_UPDATE, 0, 2 * round + 1, &[0; 4])].concat();
    flood(&[], by_window, ANY).await;
    let by_overflow = |round: u32| {
        let update = frame(WINDOW_UPDATE, 0, 2 * round + 1, &[0x7f, 0xff, 0xff, 0xff]);
        [get(2 * round + 1, "/slow"), update].concat()
    };
    flood(&[], by_overflow, ANY).await;
    let by_priority = |round: u32| {
        // A stream that depends on itself (RFC 7540, section 5.3.1).
        let stream = 2 * round + 1;
        [get(stream, "/slow"), frame(PRIORITY, 0, stream, &[&stream.to_be_bytes()[..], &[1]].concat())].concat()
    };
    flood(&[], by_priority, ANY).await;
    let by_data = |round: u32| [get(2 * round + 1, "/slow"), frame(DATA, 0, 2 * round + 1, b"x")].concat();
    flood(&[], by_data, ANY).await;
}

/// What HTTP/2 itself calls an error may be found before there are too many.
const ANY: &str = "";

/// Sends this after the preface, and then rounds until the host ends the connection, while a good client is served. The end is
/// counted with this reason.
async fn flood(first: &[u8], round: impl Fn(u32) -> Vec<u8>, reason: &str) {
    let site = Site::new().origin(Origin::answering(answer)).start().await;
    let mut good = site.connect(Http::H2).await;
    let attack = async {
        let (reading, mut writing) = site.raw(Http::H2).await.split();
        // Somebody who takes the answers, so that they do not stop the attack.
        let taking = tokio::spawn(async move {
            let mut reading = reading;
            reading.read_to_end().await.len()
        });
        writing.send([PREFACE, first].concat()).await;
        let began = Instant::now();
        let mut sent = 0;
        while sent < ROUNDS_MAX && writing.send((sent..sent + 100).flat_map(&round).collect::<Vec<u8>>()).await {
            sent += 100;
            assert!(began.elapsed() < CUT_WITHIN, "{sent} rounds in {:?}", began.elapsed());
        }
        let answered = tokio::time::timeout(CUT_WITHIN, taking).await.expect("the connection has ended");
        (sent, answered.expect("a reader that does not panic"))
    };
    let serving = async {
        for number in 0..20 {
            let reply = good.get("/good").await;
            assert_eq!(reply.status, 200, "good request {number}");
        }
    };
    let ((sent, answered), ()) = tokio::join!(attack, serving);
    assert!(sent < ROUNDS_MAX, "{sent} rounds were taken");
    assert!(answered < 1 << 20, "{answered} bytes were sent to an attacker");
    refused(&site, "public", reason).await;
    assert_eq!(good.get("/good").await.status, 200);
    site.idle().await;
}

/// Nobody waits for long for `/slow`: it is cancelled.
fn answer(seen: &harness::Seen) -> harness::Answer {
    let answer = harness::Answer::body("ok");
    if seen.target == "/slow" { answer.after(Duration::from_secs(60)) } else { answer }
}

async fn refused(site: &Running, listener: &str, reason: &str) {
    eventually("the refusal is counted", async || {
        let labels = [("listener", listener), ("reason", reason)];
        let labels = if reason == ANY { &labels[..1] } else { &labels };
        site.admin().metrics().await.sum("palisade_connections_refused_total", labels) >= 1.0
    })
    .await;
}

#[tokio::test]
async fn one_address_has_no_more_connections_than_it_may_and_others_are_served() {
    let limit = "listener.plain.limits.connections_per_address";
    let site = Site::new().set(limit, 3).origin(Origin::echo()).start_process().await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        kept.push(site.connect(Http::Plain).await);
    }
    for client in &mut kept {
        assert_eq!(client.get("/").await.status, 200);
    }
    for _ in 0..5 {
        assert_eq!(site.raw(Http::Plain).await.read_to_end().await, b"");
    }
    refused(&site, "plain", "address_limit").await;
    let other = site.dial(Http::Plain).from([127, 0, 0, 9]);
    assert_eq!(other.connect().await.expect("another address").get("/").await.status, 200);
    drop(kept);
    eventually("there is room again", async || {
        let client = site.dial(Http::Plain).connect().await;
        let Ok(mut client) = client else { return false };
        let request = http::Request::get("/").body(harness::Body::empty()).expect("a request");
        client.send(request).await.is_ok()
    })
    .await;
    let mut site = site;
    let log = site.process().log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("a connection was refused")).collect();
    assert!(!lines.is_empty() && lines.len() <= 5, "{lines:?}");
    assert!(lines.iter().all(|line| line.contains("address_limit") && line.contains("127.0.0.1")), "{lines:?}");
}

#[tokio::test]
async fn a_trusted_proxy_stands_for_many_clients() {
    let site = Site::new()
        .set("listener.plain.limits.connections_per_address", 1)
        .set("listener.plain.trusted_proxies", json!(["127.0.0.0/8"]))
        .origin(Origin::echo())
        .start()
        .await;
    let mut kept = Vec::new();
    for _ in 0..5 {
        kept.push(site.connect(Http::Plain).await);
    }
    for client in &mut kept {
        assert_eq!(client.get("/").await.status, 200);
    }
}
