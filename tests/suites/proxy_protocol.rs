//! The PROXY protocol: who the client is, from those that may say so, and to endpoints that ask for it.

use harness::{Http, Origin, Running, Site, eventually};
use serde_json::json;

/// A host that believes this network, and a firewall that knows one client.
fn site(network: &str) -> Site {
    let site = Site::new().origin(Origin::echo()).plugin("wall", "firewall", json!({ "deny": ["203.0.113.0/24"] }));
    let believed = json!([network]);
    let site = site.set("listener.public.proxy_protocol", believed.clone());
    site.set("listener.plain.proxy_protocol", believed).chain(&["wall"])
}

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

async fn answer(site: &Running, header: &[u8]) -> String {
    let mut raw = site.raw(Http::Plain).await;
    raw.send([header, GET.as_bytes()].concat()).await;
    String::from_utf8_lossy(&raw.read_to_end().await).into_owned()
}

#[tokio::test]
async fn the_client_is_who_a_believed_peer_says() {
    let site = site("127.0.0.1/32").start().await;
    let v4 = |a: [u8; 4]| [V2, &[0x21, 0x11, 0, 12], &a, &[192, 0, 2, 1, 0x10, 0, 1, 0xbb]].concat();
    let with_more = |a: [u8; 4]| [V2, &[0x21, 0x11, 0, 15], &a, &[192, 0, 2, 1, 0x10, 0, 1, 0xbb, 4, 0, 0]].concat();
    let v6 = [V2, &[0x21, 0x21, 0, 36], &[0x20; 16], &[0x30; 16], &[0, 1, 0, 2]].concat();
    for (header, client) in [
        (b"PROXY TCP4 198.51.100.7 192.0.2.1 4096 443\r\n".to_vec(), "198.51.100.7"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 4096 443\r\n".to_vec(), "2001:db8::7"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (v4([198, 51, 100, 8]), "198.51.100.8"),
        (with_more([198, 51, 100, 9]), "198.51.100.9"),
        (v6, "2020:2020:2020:2020:2020:2020:2020:2020"),
        ([V2, &[0x20, 0, 0, 0]].concat(), "127.0.0.1"),
    ] {
        let answer = answer(&site, &header).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let seen = site.origin(0).seen().pop().expect("a request");
        assert_eq!(seen.values("x-forwarded-for"), [client]);
    }
    // The firewall sees who is behind, before a byte of HTTP.
    for header in [b"PROXY TCP4 203.0.113.7 192.0.2.1 4096 443\r\n".to_vec(), v4([203, 0, 113, 8])] {
        assert_eq!(answer(&site, &header).await, "");
    }
}

#[tokio::test]
async fn who_is_believed_has_to_say_it_and_nobody_else_may() {
    let site = site("127.0.0.1/32").start().await;
    assert_eq!(answer(&site, b"").await, "");
    assert_eq!(answer(&site, b"PROXY TCP4 x\r\n").await, "");
    eventually("it is counted", async || {
        let labels = [("listener", "plain"), ("reason", "protocol")];
        site.admin().metrics().await.count("palisade_connections_refused_total", &labels) == 2
    })
    .await;
    let mut other = site.dial(Http::Plain).from([127, 0, 0, 9]).connect().await.expect("a connection");
    assert_eq!(other.get("/").await.status, 200);
    // To whoever is not believed it is no request.
    let strange = self::site("192.0.2.0/24").start().await;
    let refused = answer(&strange, b"PROXY TCP4 198.51.100.7 192.0.2.1 4096 443\r\n").await;
    assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_comes_before_tls_and_curl_speaks_it() {
    let site = site("127.0.0.1/32").start().await;
    for http in ["--http1.1", "--http2"] {
        let ended = site.curl(&["--haproxy-protocol", http, "--write-out", " %{http_code}"], "/").await;
        assert!(ended.stdout.ends_with(" 200"), "{}{}", ended.stdout, ended.stderr);
    }
}

#[tokio::test]
async fn endpoints_are_told_who_asks() {
    for version in ["v1", "v2"] {
        let inner = site("127.0.0.1/32").start().await;
        let outer = Site::new()
            .set("upstream.web.endpoints", json!([inner.address("plain").to_string()]))
            .set("upstream.web.proxy_protocol", version)
            .start()
            .await;
        for last in 2..5 {
            let from = [127, 0, 0, last];
            for http in Http::ALL {
                let mut client = outer.dial(http).from(from).connect().await.expect("a connection");
                for _ in 0..2 {
                    assert_eq!(client.get("/").await.status, 200, "{version} {http:?}");
                    let seen = inner.origin(0).seen().pop().expect("a request");
                    // The inner host has replaced what a stranger says, and the stranger is the outer one's client.
                    assert_eq!(seen.values("x-forwarded-for"), [format!("127.0.0.{last}")], "{version} {http:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_named_client_has_the_connections_of_its_own_address_and_its_name_in_the_log() {
    let site = site("127.0.0.1/32").set("listener.plain.limits.connections_per_address", 2);
    let mut site = site.start_process().await;
    let header = |last: u8| format!("PROXY TCP4 198.51.100.{last} 192.0.2.1 4096 443\r\n");
    let keep = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut kept = Vec::new();
    for last in [1, 1, 2, 2, 3] {
        let mut raw = site.raw(Http::Plain).await;
        raw.send(header(last) + keep).await;
        assert!(raw.read_until("\r\n").await.starts_with(b"HTTP/1.1 200 "), "{last}");
        kept.push(raw);
    }
    assert_eq!(answer(&site, header(1).as_bytes()).await, "");
    assert!(answer(&site, header(3).as_bytes()).await.starts_with("HTTP/1.1 200 "));
    drop(kept);
    eventually("there is room again", async || answer(&site, header(1).as_bytes()).await.starts_with("HTTP/1.1 200 "))
        .await;
    // Somebody who only looks whether anybody is there has been refused nothing.
    drop(site.raw(Http::Plain).await);
    assert_eq!(answer(&site, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await, "");
    eventually("both are told", async || {
        let log = site.process().log();
        let told = |words: &[&str]| log.lines().any(|line| words.iter().all(|word| line.contains(word)));
        told(&["address_limit", "198.51.100.1:4096"])
            && told(&["protocol", "the header of the PROXY protocol is missing"])
    })
    .await;
    let metrics = site.admin().metrics().await;
    let protocol = [("listener", "plain"), ("reason", "protocol")];
    assert_eq!(metrics.count("palisade_connections_refused_total", &protocol), 1);
}
