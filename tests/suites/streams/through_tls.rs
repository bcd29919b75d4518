//! TLS that passes through, chosen by name; TLS that ends here, and begins again.

use harness::{HOST, Origin, Running, Site, eventually, run_command};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{echo, site};

/// A host that answers over TLS, and says who it is.
async fn inner(name: &'static str) -> Running {
    Site::new().origin(Origin::answering(move |_| harness::Answer::body(name))).start().await
}

fn upstream(address: std::net::SocketAddr) -> Value {
    json!({ "endpoints": [address.to_string()] })
}

/// What curl gets over TLS of the listener `tcp` when it asks for this name, and believes `ca.pem` alone.
async fn curl(site: &Running, name: &str, more: &[&str]) -> (i32, String) {
    let to = format!("{name}:443:{}", site.address("tcp"));
    let url = format!("https://{name}/");
    let mut arguments = vec!["--silent", "--show-error", "--max-time", "20", "--cacert", "ca.pem", "--connect-to", &to];
    arguments.extend(more);
    arguments.push(&url);
    let ended = run_command("curl", &arguments, site.folder().path()).await;
    (ended.code.unwrap_or(-1), ended.stdout)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_passes_through_to_the_upstream_of_the_name_that_is_asked_for() {
    let (a, b) = (inner("a").await, inner("b").await);
    let routes = json!([
        { "host": HOST, "upstream": "web" },
        { "host": "*.example.test", "upstream": "other" },
    ]);
    let site = site(routes)
        .set("upstream.web", upstream(a.address("public")))
        .set("upstream.other", upstream(b.address("public")))
        .start()
        .await;
    // The certificate that curl checks is the endpoint's, and so is the protocol that they agree on.
    for options in [&["--http1.1"][..], &["--http2"], &["--tls-max", "1.2"]] {
        assert_eq!(curl(&site, HOST, options).await, (0, "a".to_owned()), "{options:?}");
    }
    assert_eq!(curl(&site, "b.example.test", &["--insecure"]).await, (0, "b".to_owned()));
    let (code, body) = curl(&site, "elsewhere.test", &["--insecure"]).await;
    assert!(code != 0 && body.is_empty(), "{code} {body}");
    refused(&site, "no_route", 1).await;
    // What is no TLS, and what ends within its beginning.
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[22, 3, 1, 0, 5, 1]] {
        let mut stream = TcpStream::connect(site.address("tcp")).await.expect("a connection");
        stream.write_all(bytes).await.expect("sent");
        stream.shutdown().await.expect("ended");
        let mut read = Vec::new();
        // An alert at most.
        assert!(stream.read_to_end(&mut read).await.is_err() || read.len() <= 7, "{read:?}");
    }
    refused(&site, "handshake", 2).await;
}

async fn refused(site: &Running, reason: &str, count: u64) {
    eventually(reason, async || {
        let labels = [("listener", "tcp"), ("reason", reason)];
        site.admin().metrics().await.count("palisade_connections_refused_total", &labels) == count
    })
    .await;
}

#[tokio::test]
async fn a_client_that_asks_for_no_name_takes_the_route_without_one_and_a_slow_one_is_cut() {
    let routes = json!([{ "host": HOST, "upstream": "web" }, { "upstream": "other" }]);
    let site = site(routes)
        .set("upstream.web", upstream(echo("a").await))
        .set("upstream.other", upstream(echo("b").await))
        .set("listener.tcp.limits.handshake_timeout", "700ms")
        .start()
        .await;
    for (name, expected) in [(HOST, b'a'), ("192.0.2.1", b'b'), ("another.test", b'b')] {
        let hello = hello(name);
        // In records of one byte each, as no client does and every server has to take (RFC 8446, section 5.1).
        let fragments: Vec<u8> =
            hello.get(5..).unwrap_or_default().iter().flat_map(|byte| [22, 3, 1, 0, 1, *byte]).collect();
        for records in [hello, fragments] {
            let mut stream = TcpStream::connect(site.address("tcp")).await.expect("a connection");
            let (first, rest) = records.split_at(records.len() / 2);
            stream.write_all(first).await.expect("sent");
            stream.flush().await.expect("sent");
            stream.write_all(rest).await.expect("sent");
            assert_eq!(stream.read_u8().await.ok(), Some(expected), "{name}");
            let mut back = vec![0; records.len()];
            stream.read_exact(&mut back).await.expect("an echo");
            assert_eq!(back, records, "{name}");
        }
    }
    let mut slow = TcpStream::connect(site.address("tcp")).await.expect("a connection");
    slow.write_all(&[22, 3, 1]).await.expect("sent");
    let mut read = Vec::new();
    assert!(slow.read_to_end(&mut read).await.is_err() || read.is_empty(), "{read:?}");
    refused(&site, "handshake_timeout", 1).await;
}

/// The bytes that rustls begins with.
fn hello(name: &str) -> Vec<u8> {
    let config = rustls::ClientConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = rustls::pki_types::ServerName::try_from(name.to_owned()).expect("a name");
    let mut client = rustls::ClientConnection::new(config.into(), name).expect("a client");
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).expect("bytes");
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_ends_here_and_begins_again() {
    let inner = inner("a").await;
    let certificates = json!([{ "chain": "site.pem", "key": "site.key" }]);
    let upstream = json!({
        "endpoints": [inner.address("public").to_string()],
        "tls": { "ca": "ca.pem", "server_name": HOST },
    });
    let site = site(json!([{ "host": HOST, "upstream": "web" }]))
        .set("listener.tcp.tls.certificates", certificates)
        .set("upstream.web", upstream)
        .start()
        .await;
    assert_eq!(curl(&site, HOST, &["--http1.1"]).await, (0, "a".to_owned()));
    let (code, _) = curl(&site, "elsewhere.test", &["--insecure"]).await;
    assert!(code != 0);
    refused(&site, "no_route", 1).await;
    let metrics = site.admin().metrics().await;
    assert_eq!(metrics.count("palisade_endings_total", &[("listener", "tcp"), ("ending", "complete")]), 1);
}
