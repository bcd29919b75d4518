//! WebSocket over HTTP/3 (RFC 9220): what opens a tunnel on a stream, what passes it, and how it ends.

use std::sync::Arc;

use harness::{Aioquic, HOST, Quic, Running, Site};
use serde_json::{Value, json};

use crate::tunnels::conformance::origin;
use crate::tunnels::endpoint::{Endpoint, GRANT, GRANT_OF_KEY};

/// `H3_REQUEST_CANCELLED` and `H3_FRAME_UNEXPECTED` (RFC 9114, section 8.1).
const CANCELLED: u64 = 0x10c;
const FRAME_UNEXPECTED: u64 = 0x105;

async fn started(site: Site, endpoint: &Endpoint) -> (Running, Quic) {
    let rules = json!([{ "name": "denied", "action": "deny", "when": { "path_prefix": "/denied" } }]);
    let site = site.plugin("wall", "firewall", json!({ "rules": rules })).chain(&["wall"]);
    let site = site.set("upstream.web.endpoints", json!([endpoint.address.to_string()])).start().await;
    let client = Arc::new(Aioquic::start()).connect(&site).await;
    (site, client)
}

/// Asks for a tunnel, and waits for the head of the answer.
async fn ask(client: &Quic, path: &str, protocol: &str) -> Value {
    let fields = [
        (":method", "CONNECT"),
        (":protocol", protocol),
        (":scheme", "https"),
        (":authority", HOST),
        (":path", path),
        ("sec-websocket-version", "13"),
    ];
    let request = json!({ "do": "request", "fields": fields, "goes_on": true, "wait": null });
    let asked = client.tell(request).await;
    let stream = asked.get("stream");
    client.tell(json!({ "do": "until", "stream": stream })).await
}

#[tokio::test]
async fn a_websocket_over_http_3_says_everything_back() {
    let (_origin, address) = origin().await;
    let site = super::site().set("upstream.web.endpoints", json!([address.to_string()])).start().await;
    let client = Arc::new(Aioquic::start()).connect(&site).await;
    let settings = client.tell(json!({ "do": "settings" })).await;
    assert_eq!(settings["settings"]["8"], 1, "{settings}");
    let answer = ask(&client, "/", "websocket").await;
    assert_eq!(answer["status"], 200, "{answer}");
    assert!(!answer["headers"].to_string().contains("sec-websocket-accept"), "{answer}");
    let stream = &answer["stream"];
    let send = async |bytes: Vec<u8>| {
        let body: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        client.tell(json!({ "do": "send", "stream": stream, "body": body })).await
    };
    // RFC 6455, section 5.2: a message of a client has a mask; this one changes nothing.
    send([&[0x81, 0x85, 0, 0, 0, 0][..], b"hello"].concat()).await;
    let answer = client.tell(json!({ "do": "until", "stream": stream, "bytes": 7 })).await;
    assert_eq!(answer["body"], "810568656c6c6f", "{answer}");
    let length = 1_u64 << 20;
    send([&[0x82, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat()).await;
    client.tell(json!({ "do": "send", "stream": stream, "pattern": length })).await;
    let answer = client.tell(json!({ "do": "until", "stream": stream, "bytes": 7 + 10 + length })).await;
    assert_eq!((&answer["length"], &answer["ended"]), (&json!(7 + 10 + length), &json!(false)), "{answer}");
    // A close is answered by a close, and by the end.
    send(vec![0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]).await;
    client.tell(json!({ "do": "send", "stream": stream, "fin": true })).await;
    let answer = client.tell(json!({ "do": "answer", "stream": stream })).await;
    assert_eq!((&answer["length"], &answer["reset"]), (&json!(7 + 10 + length + 4), &Value::Null), "{answer}");
    site.idle().await;
    let metrics = site.admin().metrics().await;
    assert_eq!(metrics.count("palisade_requests_total", &[("protocol", "h3"), ("class", "2xx")]), 1);
    assert_eq!(metrics.count("palisade_endings_total", &[("ending", "complete")]), 1);
}

#[tokio::test]
async fn bytes_pass_as_they_are_taken_and_each_half_ends_by_itself() {
    let endpoint = Endpoint::answering(GRANT_OF_KEY).await;
    let (site, client) = started(super::site(), &endpoint).await;
    let answer = ask(&client, "/chat?a=b", "websocket").await;
    assert_eq!(answer["status"], 200, "{answer}");
    let stream = &answer["stream"];
    client.tell(json!({ "do": "send", "stream": stream, "pattern": 8 << 20, "fin": true })).await;
    let answer = client.tell(json!({ "do": "answer", "stream": stream })).await;
    assert_eq!((&answer["length"], &answer["reset"]), (&json!(8 << 20), &Value::Null), "{answer}");
    endpoint.closed().await;
    let seen = endpoint.seen();
    assert!(seen.starts_with("GET /chat?a=b HTTP/1.1\r\n"), "{}", seen.get(..200).unwrap_or_default());
    site.idle().await;
}

#[tokio::test]
async fn what_opens_no_tunnel_is_answered() {
    const NO: &str = "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno";
    const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    for (path, protocol, endpoint, status) in [
        ("/denied", "websocket", GRANT_OF_KEY, 403),
        ("/", "connect-udp", GRANT_OF_KEY, 501),
        ("/", "a, websocket", GRANT_OF_KEY, 501),
        ("/none", "websocket", GRANT_OF_KEY, 501),
        ("/", "websocket", NO, 403),
        ("/", "websocket", OK, 502),
        ("/", "websocket", GRANT, 502),
    ] {
        let endpoint = Endpoint::answering(endpoint).await;
        let routes = super::site().route(json!({})).route(json!({ "path": "/none", "upgrades": [] }));
        let (site, client) = started(routes, &endpoint).await;
        let answer = ask(&client, path, protocol).await;
        assert_eq!(answer["status"], status, "{path} {protocol}: {answer}");
        let answer = client.tell(json!({ "do": "answer", "stream": answer["stream"] })).await;
        assert_eq!((&answer["ended"], &answer["closed"]), (&json!(true), &Value::Null), "{answer}");
        site.idle().await;
    }
}

#[tokio::test]
async fn a_tunnel_that_breaks_off_resets_its_stream() {
    let endpoint = Endpoint::answering(GRANT_OF_KEY).await;
    let site = super::site().route(json!({ "tunnel_timeout": "1s" }));
    let (site, client) = started(site, &endpoint).await;
    let answer = ask(&client, "/", "websocket").await;
    let answer = client.tell(json!({ "do": "answer", "stream": answer["stream"] })).await;
    assert_eq!((&answer["status"], &answer["reset"]), (&json!(200), &json!(CANCELLED)), "silence: {answer}");
    endpoint.closed().await;
    let answer = ask(&client, "/", "websocket").await;
    client.tell(json!({ "do": "cancel", "stream": answer["stream"] })).await;
    endpoint.closed().await;
    site.idle().await;
    // RFC 9114, section 4.4: trailers have no place in a tunnel.
    let answer = ask(&client, "/", "websocket").await;
    let stream = &answer["stream"];
    let trailers = json!({ "do": "bytes", "streams": [{ "stream": stream, "bytes": "01020000" }], "until": stream });
    let answer = client.tell(trailers).await;
    assert_eq!(answer["closed"]["code"], FRAME_UNEXPECTED, "{answer}");
    endpoint.closed().await;
    site.idle().await;
}

#[tokio::test]
async fn it_is_offered_where_a_route_allows_it() {
    let endpoint = Endpoint::answering(GRANT_OF_KEY).await;
    let (_site, client) = started(super::site().route(json!({ "upgrades": [] })), &endpoint).await;
    let settings = client.tell(json!({ "do": "settings" })).await;
    assert_eq!(settings["settings"]["8"], 0, "{settings}");
}
