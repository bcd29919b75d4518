//! How long clients are waited for: as long as the listener says, and at most a fifth longer.

use std::time::{Duration, Instant};

use harness::http2::{DATA, END_HEADERS, END_STREAM, HEADERS, SETTINGS, WINDOW_UPDATE, fields, frame};
use harness::{Body, Http, Origin, Raw, Running, Site, eventually};
use http::Request;
use serde_json::json;
use tokio::task::JoinSet;

use crate::endpoint::flood;

const LIMIT: Duration = Duration::from_secs(2);
/// No other limit may be the one that cuts.
const FAR: &str = "60s";

#[tokio::test]
async fn a_slow_head_is_cut() {
    check("header_timeout", Http::Plain, "GET / HTTP/1.1\r\nhost: a", "header_timeout").await;
    check("header_timeout", Http::H1, "GET / HTTP/1.1\r\nhost: a", "header_timeout").await;
}

#[tokio::test]
async fn a_slow_head_that_came_with_the_request_before_it_is_cut() {
    for http in [Http::Plain, Http::H1] {
        let site = site("header_timeout").await;
        in_time(async || {
            let mut raw = site.raw(http).await;
            raw.send("GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a").await;
            ended(raw).await
        })
        .await;
        refused(&site, http, "header_timeout").await;
    }
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
    let half = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf ";
    check("body_timeout", Http::Plain, half, "body_timeout").await;
    check("body_timeout", Http::H1, half, "body_timeout").await;
}

#[tokio::test]
async fn an_announced_upload_is_as_slow_as_the_listener_lets_it_be() {
    for (rate, status) in [(0, 200), (1_000, 408)] {
        let site = Site::new().origin(Origin::echo()).set("listener.plain.limits.body_timeout", "1s");
        let site = site.set("listener.plain.limits.request_body_rate", rate).start().await;
        let mut raw = site.raw(Http::Plain).await;
        raw.send("POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 6\r\n\r\n").await;
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            if !raw.send("x").await {
                break;
            }
        }
        let answer = String::from_utf8_lossy(&raw.read_to_end().await).into_owned();
        let is_cut = answer.is_empty() || answer.starts_with("HTTP/1.1 408 ");
        assert_eq!(is_cut, status == 408, "{rate}: {answer}");
        assert_eq!(answer.starts_with("HTTP/1.1 200 "), status == 200, "{rate}: {answer}");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    check("idle_timeout", Http::Plain, "", "").await;
    check("idle_timeout", Http::H1, "GET / HTTP/1.1\r\nhost: a\r\n\r\n", "").await;
    // The client's preface and an empty SETTINGS (RFC 9113, section 3.4), and then no stream.
    check("idle_timeout", Http::H2, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "").await;
}

/// Sends this and then nothing: the connection ends in time, and is counted with this reason if any.
async fn check(limit: &str, http: Http, bytes: &str, reason: &str) {
    let site = site(limit).await;
    in_time(async || {
        let mut raw = site.raw(http).await;
        raw.send(bytes).await;
        ended(raw).await
    })
    .await;
    refused(&site, http, reason).await;
    site.idle().await;
}

async fn ended(mut raw: Raw) -> Duration {
    let began = Instant::now();
    raw.read_to_end().await;
    began.elapsed()
}

#[tokio::test]
async fn a_client_that_begins_no_handshake_is_cut() {
    let site = site("handshake_timeout").await;
    in_time(async || {
        let stream = std::net::TcpStream::connect(site.address("public")).expect("a connection");
        let began = Instant::now();
        tokio::task::spawn_blocking(move || std::io::Read::read(&mut &stream, &mut [0; 1])).await.expect("read").ok();
        began.elapsed()
    })
    .await;
    refused(&site, Http::H1, "handshake_timeout").await;
}

#[tokio::test]
async fn a_client_that_stops_its_upload_is_cut() {
    for http in Http::ALL {
        let site = site("body_timeout").await;
        in_time(async || {
            let (feed, body) = Body::fed(Some(1_000));
            let mut client = site.connect(http).await;
            let asking = async { client.send(Request::post("/").body(body).expect("a request")).await };
            let (reply, began) = tokio::join!(asking, async {
                feed.send("half").await;
                Instant::now()
            });
            assert!(reply.is_err(), "an answer to half a request over {http:?}");
            began.elapsed()
        })
        .await;
        refused(&site, http, "body_timeout").await;
        site.idle().await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut() {
    for http in Http::ALL {
        let (address, given) = flood().await;
        let site = described("body_timeout").set("upstream.web.endpoints", json!([address.to_string()])).start().await;
        let mut client = site.connect(http).await;
        let request = Request::get("/1000000000").body(Body::empty()).expect("a request");
        let unread = client.open(request).await.expect("a head");
        // Later than the limit by as long as buffers took to fill.
        refused(&site, http, "body_timeout").await;
        site.idle().await;
        let given = given.load(std::sync::atomic::Ordering::Relaxed);
        assert!(given < 100_000_000, "{given} bytes were taken over {http:?}");
        drop(unread);
    }
}

/// Measures once more where a busy machine was late; nothing is ever early.
async fn in_time(mut measure: impl AsyncFnMut() -> Duration) {
    let mut late = Vec::new();
    while late.len() < 3 {
        let took = measure().await;
        // Counted from after the bytes were sent, so a little less than the limit is not too early.
        assert!(took + Duration::from_millis(50) >= LIMIT, "ended after {took:?}, and the limit is {LIMIT:?}");
        if took <= LIMIT + LIMIT / 5 {
            return;
        }
        late.push(took);
    }
    panic!("ended after {late:?}, and the limit is {LIMIT:?}");
}

/// Counted with this reason, or with none at all.
async fn refused(site: &Running, http: Http, reason: &str) {
    let listener = if http == Http::Plain { "plain" } else { "public" };
    eventually("the refusal is counted", async || {
        let metrics = site.admin().metrics().await;
        let all = metrics.sum("palisade_connections_refused_total", &[("listener", listener)]);
        let refused = metrics.sum("palisade_connections_refused_total", &[("listener", listener), ("reason", reason)]);
        if reason.is_empty() { all == 0.0 } else { refused > 0.0 && all == refused }
    })
    .await;
}

async fn site(short: &str) -> Running {
    described(short).origin(Origin::echo()).start().await
}

/// With this limit short, and all others long.
fn described(short: &str) -> Site {
    let mut site = Site::new();
    for listener in ["public", "plain"] {
        for limit in ["header_timeout", "body_timeout", "idle_timeout", "handshake_timeout"] {
            let text = if limit == short { format!("{}ms", LIMIT.as_millis()) } else { FAR.to_owned() };
            site = site.set(&format!("listener.{listener}.limits.{limit}"), text);
        }
    }
    site
}

/// TLS takes in more than its socket has room for: what it keeps at the end of an answer has to go out as well, though nothing
/// follows it. Of these lengths, some end there.
#[tokio::test]
async fn an_answer_over_http2_arrives_whole_however_late_it_is_read() {
    let site = Site::new().origin(Origin::echo()).start().await;
    let mut all = JoinSet::new();
    for length in (50_000..1_500_000).step_by(20_000) {
        let mut raw = site.raw(Http::H2).await;
        let path = format!("/bytes/{length}");
        let named = [(":method", "GET"), (":scheme", "https"), (":authority", harness::HOST), (":path", path.as_str())];
        // Windows that nothing ever waits for.
        let settings = [&[0, 4][..], &i32::MAX.to_be_bytes()].concat();
        let more = (i32::MAX - 65_535).to_be_bytes();
        raw.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        raw.send([frame(SETTINGS, 0, 0, &settings), frame(WINDOW_UPDATE, 0, 0, &more)].concat()).await;
        raw.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields(&named))).await;
        all.spawn(async move {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let received = tokio::time::timeout(Duration::from_secs(20), data(&mut raw)).await;
            assert_eq!(received, Ok(length), "it does not arrive");
        });
    }
    while let Some(read) = all.join_next().await {
        read.expect("all of it, in its time");
    }
}

/// How many bytes of data come until the end of the stream.
async fn data(raw: &mut Raw) -> usize {
    let mut received = 0;
    loop {
        let header = raw.read_exactly(9).await.expect("a frame");
        let [a, b, c, kind, flags, ..] = <[u8; 9]>::try_from(header).expect("nine bytes");
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        raw.read_exactly(length).await.expect("what it announces");
        if kind == DATA {
            received += length;
            if flags & END_STREAM != 0 {
                return received;
            }
        }
    }
}
