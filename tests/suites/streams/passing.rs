//! Bytes both ways, in clear text.

use std::net::SocketAddr;
use std::time::Duration;

use harness::{Running, eventually};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{echo, greeting, site, to};

#[tokio::test]
async fn bytes_go_both_ways_whoever_speaks_first_until_each_side_has_ended() {
    let site = to(&[echo("hello\n").await]).start().await;
    let (mut client, said) = greeting(site.address("tcp"), 6).await;
    assert_eq!(said, "hello\n");
    let sent: Vec<u8> = (0..=255).cycle().take(5 << 20).collect();
    let (mut read, mut write) = client.split();
    let mut back = Vec::new();
    let writes = async {
        write.write_all(&sent).await.expect("sent");
        write.shutdown().await.expect("ended");
    };
    let (_, read) = tokio::join!(writes, read.read_to_end(&mut back));
    assert_eq!(read.ok(), Some(sent.len()));
    assert!(back == sent, "what came back is something else");
    ended(&site, "complete", 1).await;
    let metrics = site.admin().metrics().await;
    let listener = [("listener", "tcp")];
    let bytes = u64::try_from(sent.len()).expect("a length");
    assert_eq!(metrics.count("palisade_request_body_bytes_total", &listener), bytes);
    assert_eq!(metrics.count("palisade_response_body_bytes_total", &listener), bytes + 6);
}

async fn ended(site: &Running, ending: &str, count: u64) {
    eventually(ending, async || {
        let labels = [("listener", "tcp"), ("ending", ending)];
        site.admin().metrics().await.count("palisade_endings_total", &labels) == count
    })
    .await;
}

/// An endpoint that gives its connections away.
async fn endpoint() -> (TcpListener, SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = socket.local_addr().expect("an address");
    (socket, address)
}

#[tokio::test]
async fn a_side_that_breaks_off_breaks_off_the_other() {
    let (socket, address) = endpoint().await;
    let site = to(&[address]).start().await;
    for breaks in ["client", "endpoint"] {
        let mut client = TcpStream::connect(site.address("tcp")).await.expect("a connection");
        let (mut endpoint, _) = socket.accept().await.expect("a connection");
        client.write_all(b"half of").await.expect("sent");
        endpoint.write_all(b"some").await.expect("sent");
        let mut read = [0; 4];
        client.read_exact(&mut read).await.expect("some");
        let mut heard = [0; 7];
        endpoint.read_exact(&mut heard).await.expect("half");
        let (gone, mut left) = if breaks == "client" { (client, endpoint) } else { (endpoint, client) };
        gone.set_zero_linger().expect("linger");
        drop(gone);
        let error = left.read(&mut read).await.expect_err(breaks);
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{breaks}");
    }
    ended(&site, "client-gone", 1).await;
    ended(&site, "truncated", 1).await;
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_connected_to_is_passed_over_and_none_at_all_is_seen_at_once() {
    let (socket, gone) = endpoint().await;
    drop(socket);
    let site = to(&[gone, echo("b").await]).start().await;
    for _ in 0..20 {
        assert_eq!(greeting(site.address("tcp"), 1).await.1, "b");
    }
    let site = to(&[gone]).start().await;
    // It may be reset before the client has noticed that it has one.
    if let Ok(mut stream) = TcpStream::connect(site.address("tcp")).await {
        assert!(stream.read_u8().await.is_err());
    }
    ended(&site, "upstream-failed", 1).await;
}

#[tokio::test]
async fn a_connection_to_an_endpoint_that_checks_find_down_is_cut_and_the_next_one_goes_elsewhere() {
    let (socket, address) = endpoint().await;
    let health = json!({ "check": "tcp", "interval": "100ms", "fall": 2 });
    let site = to(&[address]).set("upstream.web.health", health).start().await;
    let mut client = TcpStream::connect(site.address("tcp")).await.expect("a connection");
    client.write_all(b"x").await.expect("sent");
    // Checks connect as well, and say nothing.
    let kept = loop {
        let (mut stream, _) = socket.accept().await.expect("a connection");
        if stream.read_u8().await.is_ok() {
            break stream;
        }
    };
    // It listens no more, and what it has hangs.
    drop(socket);
    let mut read = Vec::new();
    let error = client.read_to_end(&mut read).await.expect_err("it is cut");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    ended(&site, "truncated", 1).await;
    drop(kept);
}

#[tokio::test]
async fn silence_is_ended_and_what_is_not_silent_is_not() {
    let routes = json!([{ "upstream": "web", "tunnel_timeout": "800ms" }]);
    let site = to(&[echo("a").await]).set("listener.tcp.route", routes).start().await;
    let (mut client, _) = greeting(site.address("tcp"), 1).await;
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        client.write_all(b"x").await.expect("sent");
        assert_eq!(client.read_u8().await.ok(), Some(b'x'));
    }
    assert!(client.read_u8().await.is_err(), "nothing passed, and the connection stays");
    ended(&site, "truncated", 1).await;
}

#[tokio::test]
async fn plugins_refuse_choose_and_count() {
    let site = to(&[echo("a").await, echo("b").await])
        .plugin("wall", "firewall", json!({ "deny": ["127.0.0.66"] }))
        .plugin("spread", "balance", json!({ "algorithm": "weighted_round_robin" }))
        .plugin("count", "qps", json!({ "labels": ["protocol"] }))
        .set("listener.tcp.chain", json!(["wall", "spread", "count"]))
        .set("listener.tcp.limits.connections", 5)
        .start()
        .await;
    let mut names: Vec<String> = Vec::new();
    for _ in 0..8 {
        names.push(greeting(site.address("tcp"), 1).await.1);
    }
    assert_eq!(names, ["a", "b", "a", "b", "a", "b", "a", "b"]);
    assert_eq!(from([127, 0, 0, 66], site.address("tcp")).await, "");
    site.idle().await;
    let mut kept = Vec::new();
    for _ in 0..5 {
        kept.push(greeting(site.address("tcp"), 1).await);
    }
    assert_eq!(greeting(site.address("tcp"), 1).await.1, "");
    drop(kept);
    eventually("they are counted", async || {
        let metrics = site.admin().metrics().await;
        let refused = |reason| {
            let labels = [("listener", "tcp"), ("reason", reason)];
            metrics.count("palisade_connections_refused_total", &labels)
        };
        let requests = [("listener", "tcp"), ("protocol", "tcp"), ("class", "none")];
        refused("plugin") == 1 && refused("limit") == 1 && metrics.count("palisade_requests_total", &requests) == 13
    })
    .await;
}

async fn from(source: [u8; 4], address: SocketAddr) -> String {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from((source, 0))).expect("an address of this machine");
    let mut stream = socket.connect(address).await.expect("a connection");
    let mut text = String::new();
    match stream.read_to_string(&mut text).await {
        Ok(_) | Err(_) => text,
    }
}

#[tokio::test]
async fn a_drain_lets_it_end_and_cuts_it_when_the_time_is_over() {
    let site = to(&[echo("a").await]).set("shutdown.drain", "1500ms").start().await;
    let (mut client, _) = greeting(site.address("tcp"), 1).await;
    let address = site.address("tcp");
    let stopped = tokio::spawn(site.shut_down());
    eventually("it does not listen", async || TcpStream::connect(address).await.is_err()).await;
    client.write_all(b"x").await.expect("sent");
    assert_eq!(client.read_u8().await.ok(), Some(b'x'));
    stopped.await.expect("stopped");
    // What is cut does not look whole.
    let error = client.read_u8().await.expect_err("the time is over, and the connection stays");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_client_that_leaves_before_there_is_an_endpoint_is_not_waited_for() {
    // It takes connections, and never shakes hands.
    let hangs = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let upstream = json!({
        "endpoints": [hangs.local_addr().expect("an address").to_string()],
        "tls": { "server_name": "hangs.test", "ca": "ca.pem" }, "connect_timeout": "10m",
    });
    let site = site(json!([{ "upstream": "web" }])).set("upstream.web", upstream).start().await;
    for is_reset in [false, true] {
        let mut client = TcpStream::connect(site.address("tcp")).await.expect("a connection");
        if is_reset {
            // Whoever has said something may go on to listen, but not after this.
            client.write_all(b"hello").await.expect("bytes that go out");
        }
        let (mut endpoint, _) = hangs.accept().await.expect("a connection");
        if is_reset {
            client.set_zero_linger().expect("a socket option");
        }
        drop(client);
        // The host gives its own connection up.
        let gone = async { while endpoint.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {} };
        tokio::time::timeout(harness::LIMIT, gone).await.unwrap_or_else(|_| panic!("it waits on: {is_reset}"));
    }
    eventually("both have left", async || {
        site.admin().metrics().await.count("palisade_endings_total", &[("ending", "client-gone")]) == 2
    })
    .await;
}
