//! WebSocket over HTTP/2 (RFC 8441): what opens a tunnel on a stream, what passes it, and how it ends.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use h2::client::SendRequest;
use h2::{Reason, RecvStream, SendStream};
use harness::{Answer, Http, Origin, Running, Site, eventually};
use http::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::conformance::origin;
use super::endpoint::{Endpoint, GRANT, GRANT_OF_KEY};

fn site(endpoint: &Endpoint) -> Site {
    let rules = json!([{ "name": "denied", "action": "deny", "when": { "path_prefix": "/denied" } }]);
    let site = Site::new().plugin("wall", "firewall", json!({ "rules": rules }));
    let site = site.plugin("tag", "tag", json!({ "name": "x" })).chain(&["wall", "tag"]);
    site.set("upstream.web.endpoints", json!([endpoint.address.to_string()]))
}

/// A connection on which the host's settings have come, with a request that the chain has answered.
async fn connect(site: &Running) -> SendRequest<Bytes> {
    let stream = site.dial(Http::H2).stream().await.expect("a connection");
    let (sender, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(async move { drop(connection.await) });
    let mut sender = sender.ready().await.expect("a stream");
    let request = Request::get("https://www.example.test/denied").body(()).expect("a request");
    let (answer, _) = sender.send_request(request, true).expect("a stream");
    assert_eq!(answer.await.expect("an answer").status(), 403);
    sender
}

fn asking(path: &str, protocol: &str) -> Request<()> {
    let request = Request::builder().method(Method::CONNECT).uri(format!("https://www.example.test{path}"));
    let request = request.header("sec-websocket-version", "13").header("sec-websocket-key", "the client's own");
    request.extension(h2::ext::Protocol::from(protocol)).body(()).expect("a request")
}

/// Asks for a tunnel; what is sent before the answer is `early`.
async fn ask(
    sender: &mut SendRequest<Bytes>,
    request: Request<()>,
    early: &'static [u8],
) -> (Response<RecvStream>, SendStream<Bytes>) {
    let (answer, mut sending) = sender.send_request(request, false).expect("a stream");
    if !early.is_empty() {
        sending.send_data(Bytes::from_static(early), false).expect("a stream");
    }
    (answer.await.expect("an answer"), sending)
}

async fn read(receiving: &mut RecvStream, bytes: usize) -> Vec<u8> {
    let mut read = Vec::new();
    while read.len() < bytes {
        let Some(Ok(data)) = receiving.data().await else { break };
        let _ = receiving.flow_control().release_capacity(data.len());
        read.extend_from_slice(&data);
    }
    read
}

/// Sends as the host gives room.
async fn send(sending: &mut SendStream<Bytes>, mut bytes: Bytes) {
    while !bytes.is_empty() {
        sending.reserve_capacity(bytes.len());
        let room = poll_fn(|context| sending.poll_capacity(context)).await.expect("a stream").expect("room");
        sending.send_data(bytes.split_to(room.min(bytes.len())), false).expect("a stream");
    }
}

#[tokio::test]
async fn a_websocket_over_http_2_says_everything_back() {
    let (_origin, address) = origin().await;
    let rules = json!([{ "name": "denied", "action": "deny", "when": { "path_prefix": "/denied" } }]);
    let site = Site::new().plugin("wall", "firewall", json!({ "rules": rules })).chain(&["wall"]);
    let site = site.set("upstream.web.endpoints", json!([address.to_string()])).start().await;
    let mut sender = site.dial(Http::H2).http2::<http_body_util::Empty<Bytes>>().await.expect("HTTP/2");
    let request = |method: Method, path: &str| {
        let request = Request::builder().method(method).uri(format!("https://www.example.test{path}"));
        request.header("sec-websocket-version", "13").body(http_body_util::Empty::new()).expect("a request")
    };
    let answer = sender.send_request(request(Method::GET, "/denied")).await.expect("an answer");
    assert_eq!(answer.status(), 403);
    let mut asking = request(Method::CONNECT, "/");
    asking.extensions_mut().insert(hyper::ext::Protocol::from_static("websocket"));
    let mut answer = sender.send_request(asking).await.expect("an answer");
    assert_eq!(answer.status(), 200, "{answer:?}");
    for field in ["sec-websocket-accept", "upgrade", "connection", "transfer-encoding", "content-length"] {
        assert!(!answer.headers().contains_key(field), "{answer:?}");
    }
    let stream = hyper::upgrade::on(&mut answer).await.expect("a tunnel");
    let unlimited = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Client, Some(unlimited)).await;
    let large: Vec<u8> = (0..4_u32 << 20).map(|number| number.to_le_bytes()[(number % 3) as usize]).collect();
    for message in [Message::text("hello"), Message::binary(large), Message::text("and again")] {
        socket.send(message.clone()).await.expect("sent");
        assert!(socket.next().await.expect("a message").expect("a message") == message);
        // The connection has other streams.
        let answer = sender.send_request(request(Method::GET, "/denied")).await.expect("an answer");
        assert_eq!(answer.status(), 403);
    }
    socket.close(None).await.expect("a close");
    assert!(matches!(socket.next().await, Some(Ok(Message::Close(_)))));
    assert!(socket.next().await.is_none());
    drop(socket);
    site.idle().await;
    let metrics = site.admin().metrics().await;
    assert_eq!(metrics.count("palisade_requests_total", &[("protocol", "h2"), ("class", "2xx")]), 1);
    assert_eq!(metrics.count("palisade_endings_total", &[("ending", "complete")]), 5);
}

#[tokio::test]
async fn what_an_endpoint_gets_is_a_handshake_of_http_1_and_its_tunnel_ends_half_by_half() {
    let endpoint = Endpoint::answering(GRANT_OF_KEY).await;
    let site = site(&endpoint).start().await;
    let mut sender = connect(&site).await;
    let (answer, mut sending) = ask(&mut sender, asking("/chat?a=b", "websocket"), b"early").await;
    assert_eq!((answer.status(), answer.headers()["x-tag"].as_bytes()), (StatusCode::OK, &b"x"[..]), "{answer:?}");
    let mut receiving = answer.into_body();
    assert_eq!(read(&mut receiving, 5).await, b"early", "what came before the answer waited for it");
    let seen = endpoint.seen().to_ascii_lowercase();
    assert!(seen.starts_with("get /chat?a=b http/1.1\r\n"), "{seen}");
    for field in ["connection: upgrade", "upgrade: websocket", "x-tag: x", "host: www.example.test", "via: 2 palisade"]
    {
        assert_eq!(seen.matches(&format!("\r\n{field}")).count(), 1, "{field} in {seen}");
    }
    assert_eq!(seen.matches("\r\nsec-websocket-key: ").count(), 1, "{seen}");
    assert!(!seen.contains("the client's own"), "{seen}");
    // The endpoint says everything back and takes no more while nobody listens: only reading lets the rest go out.
    let bytes: Bytes = (0..8_u32 << 20).map(|number| number.to_le_bytes()[(number % 3) as usize]).collect();
    let sent = bytes.clone();
    let sends = tokio::spawn(async move {
        send(&mut sending, sent).await;
        sending.send_data(Bytes::new(), true).expect("a stream");
    });
    let back = read(&mut receiving, usize::MAX).await;
    sends.await.expect("sent");
    assert!(back == bytes, "{} bytes came back", back.len());
    assert!(receiving.is_end_stream(), "in good order");
    endpoint.closed().await;
    site.idle().await;
    let metrics = site.admin().metrics().await;
    assert_eq!(metrics.count("palisade_request_body_bytes_total", &[]), 5 + (8 << 20));
}

#[tokio::test]
async fn what_opens_no_tunnel_is_answered_and_nothing_of_it_is_passed_on() {
    const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    const NO: &str = "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\nx-why: me\r\n\r\nno";
    for (path, protocol, endpoints, status, body) in [
        ("/denied", "websocket", GRANT_OF_KEY, 403, None),
        ("/none", "websocket", GRANT_OF_KEY, 501, None),
        ("/", "connect-udp", GRANT_OF_KEY, 501, None),
        ("/", "h2c, websocket", GRANT_OF_KEY, 501, None),
        ("/", "websocket", NO, 403, Some("no")),
        ("/", "websocket", OK, 502, None),
        ("/", "websocket", "HTTP/1.1 204 No Content\r\n\r\n", 502, None),
        // A key of another client's.
        ("/", "websocket", GRANT, 502, None),
        (
            "/",
            "websocket",
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
            502,
            None,
        ),
    ] {
        let endpoint = Endpoint::answering(endpoints).await;
        let site = site(&endpoint).route(json!({})).route(json!({ "path": "/none", "upgrades": [] })).start().await;
        let mut sender = connect(&site).await;
        let early = b"GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";
        let (answer, sending) = ask(&mut sender, asking(path, protocol), early).await;
        let case = format!("{path} {protocol} {endpoints}");
        assert_eq!(answer.status(), status, "{case}");
        let mut receiving = answer.into_body();
        let answered = read(&mut receiving, usize::MAX).await;
        assert!(body.is_none_or(|body| answered == body.as_bytes()), "{case}");
        drop(sending);
        site.idle().await;
        assert!(!endpoint.seen().contains("smuggled"), "{case}: {}", endpoint.seen());
        assert_eq!(endpoint.seen().is_empty(), status == 501 || path == "/denied", "{case}: {}", endpoint.seen());
    }
}

#[tokio::test]
async fn a_plugins_good_status_opens_no_tunnel() {
    let endpoint = Endpoint::answering(GRANT_OF_KEY).await;
    let rules = json!([{ "name": "denied", "action": "deny", "when": { "path_prefix": "/denied" } }]);
    let site = Site::new().plugin("wall", "firewall", json!({ "rules": rules }));
    let site = site.plugin("reply", "reply", json!({ "status": 200, "body": "hello" })).chain(&["wall", "reply"]);
    let site = site.set("upstream.web.endpoints", json!([endpoint.address.to_string()])).start().await;
    let mut sender = connect(&site).await;
    let (answer, _sending) = ask(&mut sender, asking("/", "websocket"), b"").await;
    assert_eq!(answer.status(), 502);
    assert_eq!(endpoint.seen(), "");
}

#[tokio::test]
async fn it_is_offered_where_a_route_allows_it_and_where_the_upstream_can() {
    let endpoint = Endpoint::answering(GRANT_OF_KEY).await;
    for (upgrades, protocol, is_offered) in [(json!([]), "h1", false), (json!(["websocket"]), "h2", true)] {
        let site = site(&endpoint).set("upstream.web.protocol", protocol).route(json!({ "upgrades": upgrades }));
        let site = site.start().await;
        let mut sender = connect(&site).await;
        assert_eq!(sender.is_extended_connect_protocol_enabled(), is_offered);
        if is_offered {
            let (answer, _sending) = ask(&mut sender, asking("/", "websocket"), b"").await;
            assert_eq!(answer.status(), 501, "the endpoint speaks HTTP/2 alone");
        }
    }
    assert_eq!(endpoint.seen(), "");
}

#[tokio::test]
async fn a_tunnel_that_breaks_off_resets_its_stream_alone() {
    let endpoint = Endpoint::answering(GRANT_OF_KEY).await;
    let broken = crate::endpoint::serving(|mut stream| async move {
        let mut bytes = vec![0; 4096];
        let read = tokio::io::AsyncReadExt::read(&mut stream, &mut bytes).await.unwrap_or_default();
        let head = String::from_utf8_lossy(bytes.get(..read).unwrap_or_default()).into_owned();
        let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap_or_default();
        let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
        let grant = GRANT_OF_KEY.replace("{accept}", &accept);
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, grant.as_bytes()).await;
        let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut bytes).await;
        // Reset, not ended.
        let _ = stream.set_zero_linger();
    })
    .await;
    let site = site(&endpoint).set("upstream.broken.endpoints", json!([broken.to_string()]));
    let site = site.route(json!({ "tunnel_timeout": "1s" })).route(json!({ "path": "/broken", "upstream": "broken" }));
    let site = site.start().await;
    let mut sender = connect(&site).await;
    let (answer, mut sending) = ask(&mut sender, asking("/broken", "websocket"), b"").await;
    assert_eq!(answer.status(), 200);
    sending.send_data(Bytes::from_static(b"x"), false).expect("a stream");
    assert_eq!(ended(answer.into_body()).await, Err(Some(Reason::CANCEL)), "the endpoint broke off");
    let began = Instant::now();
    let (answer, _sending) = ask(&mut sender, asking("/", "websocket"), b"").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(ended(answer.into_body()).await, Err(Some(Reason::CANCEL)), "silence");
    assert!(began.elapsed() >= Duration::from_millis(950), "{:?}", began.elapsed());
    endpoint.closed().await;
    // A client that resets its stream closes the endpoint.
    let (answer, mut sending) = ask(&mut sender, asking("/", "websocket"), b"").await;
    assert_eq!(answer.status(), 200);
    sending.send_reset(Reason::CANCEL);
    drop((answer, sending));
    endpoint.closed().await;
    site.idle().await;
    // The connection is as it was.
    let (answer, _sending) = ask(&mut sender, asking("/denied", "websocket"), b"").await;
    assert_eq!(answer.status(), 403);
}

/// What a stream broke off with; an error where its connection did.
async fn ended(mut receiving: RecvStream) -> Result<(), Option<Reason>> {
    while let Some(data) = receiving.data().await {
        if let Err(error) = data {
            return Err(error.reason());
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_draining_host_waits_for_tunnels_of_streams_and_then_cuts_them() {
    for (drain, ends) in [("30s", true), ("500ms", false)] {
        let endpoint = Endpoint::answering(GRANT_OF_KEY).await;
        let mut site = site(&endpoint).set("shutdown.drain", drain).start_process().await;
        let mut sender = connect(&site).await;
        let (answer, mut sending) = ask(&mut sender, asking("/", "websocket"), b"").await;
        let mut receiving = answer.into_body();
        site.process().signal("TERM");
        eventually("the host drains", async || site.admin().get("/readyz").await.status == 503).await;
        if ends {
            sending.send_data(Bytes::from_static(b"late"), true).expect("a stream");
            assert_eq!(read(&mut receiving, usize::MAX).await, b"late");
        }
        assert_eq!(ended(receiving).await.is_ok(), ends);
        endpoint.closed().await;
        drop(sender);
        let ended = site.process().wait().await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
}

/// Opens a WebSocket and tells what came of it.
const PAGE: &str = r#"<!doctype html><title>Palisade</title><script>
const told = {};
const tell = () => fetch("/told", { method: "POST", body: "", headers: { "x-told": JSON.stringify(told) } });
const open = () => {
    const socket = new WebSocket("wss://" + location.host + "/echo");
    socket.binaryType = "arraybuffer";
    socket.onopen = () => { socket.send("hello"); socket.send(new Uint8Array(1 << 20)); };
    socket.onmessage = event => {
        if (typeof event.data === "string") { told.text = event.data; return; }
        told.bytes = event.data.byteLength;
        socket.close(1000);
    };
    socket.onclose = event => { told.code = event.code; told.clean = event.wasClean; tell(); };
};
// A connection of HTTP/2 is there, and what the host offers on it is known.
fetch("/first").then(open);
</script>"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_speaks_websocket_over_http_2() {
    let (_origin, address) = origin().await;
    let site = Site::new().set("upstream.echo.endpoints", json!([address.to_string()]));
    let site = site.route(json!({})).route(json!({ "path": "/echo", "upstream": "echo" }));
    let page = Origin::answering(|seen| match seen.target.as_str() {
        "/" => Answer::body(PAGE).header("content-type", "text/html; charset=utf-8"),
        _ => Answer::status(204),
    });
    let site = site.origin(page).start().await;
    let _browser = crate::http3::browse(&site, &["--disable-quic"]);
    let mut told = None;
    eventually("the page has told", async || {
        let seen = site.origin(0).seen();
        told = seen.iter().find(|seen| seen.target == "/told").map(|seen| seen.values("x-told").concat());
        told.is_some()
    })
    .await;
    let told: Value = serde_json::from_str(&told.expect("it was told")).expect("JSON");
    assert_eq!(told, json!({ "text": "hello", "bytes": 1 << 20, "code": 1000, "clean": true }));
    let metrics = site.admin().metrics().await;
    assert_eq!(metrics.count("palisade_requests_total", &[("protocol", "http/1.1")]), 0, "all of it over HTTP/2");
}
