//! TLS on both sides: what is negotiated, whose certificate is shown, and what is refused.

use std::fs;
use std::sync::Arc;

use harness::{Http, Origin, Running, Site, eventually, run_command};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, NamedGroup, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

#[tokio::test]
async fn the_newest_version_that_both_speak_is_spoken() {
    let both = Site::new().origin(Origin::echo()).start().await;
    let newest = Site::new().set("listener.public.tls.min_version", "1.3").origin(Origin::echo()).start().await;
    let (tls12, tls13): (&[_], &[_]) = (&[&rustls::version::TLS12], &[&rustls::version::TLS13]);
    for (site, offered, expected) in [
        (&both, BOTH, Some(ProtocolVersion::TLSv1_3)),
        (&both, tls13, Some(ProtocolVersion::TLSv1_3)),
        (&both, tls12, Some(ProtocolVersion::TLSv1_2)),
        (&newest, BOTH, Some(ProtocolVersion::TLSv1_3)),
        (&newest, tls12, None),
    ] {
        let stream = connect(site, &client(site, "ca.pem", offered, &["http/1.1"]), "www.example.test").await;
        let version = stream.ok().and_then(|stream| stream.get_ref().1.protocol_version());
        assert_eq!(version, expected, "{offered:?}");
    }
    refused(&newest, "handshake").await;
}

#[tokio::test]
async fn the_protocol_is_the_one_that_was_agreed_on() {
    let both = Site::new().origin(Origin::echo()).start().await;
    let h1 = Site::new().set("listener.public.http", json!(["h1"])).origin(Origin::echo()).start().await;
    for (site, offered, expected) in [
        (&both, &["h2", "http/1.1"][..], Some("h2")),
        (&both, &["http/1.1", "h2"], Some("h2")),
        (&both, &["http/1.1"], Some("http/1.1")),
        (&both, &[], None),
        (&both, &["http/1.0"], Some("http/1.0")),
        (&h1, &["h2", "http/1.1"], Some("http/1.1")),
        (&h1, &[], None),
    ] {
        let mut stream =
            connect(site, &client(site, "ca.pem", BOTH, offered), "www.example.test").await.expect("a handshake");
        let agreed = stream.get_ref().1.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
        assert_eq!(agreed.as_deref(), expected, "{offered:?}");
        if expected != Some("h2") {
            assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"), "{offered:?}");
        }
    }
    let none = connect(&both, &client(&both, "ca.pem", BOTH, &["spdy/3"]), "www.example.test").await;
    assert!(none.is_err(), "a protocol that nobody speaks was agreed on");
}

#[tokio::test]
async fn the_key_exchange_withstands_quantum_computers_where_the_client_offers_it() {
    let site = Site::new().origin(Origin::echo()).start().await;
    for (offered, expected) in [
        (&[NamedGroup::X25519MLKEM768, NamedGroup::X25519][..], NamedGroup::X25519MLKEM768),
        // Who prefers the other one has sent no share of this one, and is not made to wait for another round trip.
        (&[NamedGroup::X25519, NamedGroup::X25519MLKEM768], NamedGroup::X25519),
        (&[NamedGroup::X25519], NamedGroup::X25519),
        (&[NamedGroup::secp256r1], NamedGroup::secp256r1),
    ] {
        let mut config = ClientConfig::clone(&client(&site, "ca.pem", BOTH, &[]));
        let mut provider = rustls::crypto::CryptoProvider::clone(config.crypto_provider());
        let groups = offered.iter().filter_map(|name| provider.kx_groups.iter().find(|group| group.name() == *name));
        provider.kx_groups = groups.copied().collect();
        config = with(&site, "ca.pem", provider, BOTH);
        let stream = connect(&site, &Arc::new(config), "www.example.test").await.expect("a handshake");
        let group = stream.get_ref().1.negotiated_key_exchange_group().map(|group| group.name());
        assert_eq!(group, Some(expected), "{offered:?}");
    }
}

#[tokio::test]
async fn a_ticket_of_one_worker_is_good_for_all() {
    let site = Site::new().set("workers", 4).origin(Origin::echo()).start().await;
    let without = Site::new().set("listener.public.tls.tickets", false).origin(Origin::echo()).start().await;
    for version in BOTH {
        for (site, expected) in [(&site, HandshakeKind::Resumed), (&without, HandshakeKind::Full)] {
            let config = client(site, "ca.pem", &[*version], &["http/1.1"]);
            for number in 0..16 {
                let mut stream = connect(site, &config, "www.example.test").await.expect("a handshake");
                // Tickets of TLS 1.3 come with the first answer.
                assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"));
                let kind = stream.get_ref().1.handshake_kind();
                let expected = if number == 0 { HandshakeKind::Full } else { expected };
                assert_eq!(kind, Some(expected), "{version:?}, connection {number}");
            }
        }
    }
}

#[tokio::test]
async fn the_certificate_is_the_one_for_the_name() {
    let other = Authority::new();
    let (chain, key) = other.sign("other.test");
    let first = json!({ "chain": "site.pem", "key": "site.key" });
    let second = json!({ "chain": "other.pem", "key": "other.key" });
    let site = Site::new()
        .file("other.pem", chain)
        .file("other.key", key)
        .file("other-ca.pem", other.pem())
        .set("listener.public.tls.certificates", json!([first, second]))
        .origin(Origin::echo())
        .start()
        .await;
    for (trusted, name, fits) in [
        ("ca.pem", "www.example.test", true),
        ("other-ca.pem", "other.test", true),
        ("other-ca.pem", "www.example.test", false),
        ("ca.pem", "other.test", false),
        // No certificate is for this one, so the first is shown.
        ("other-ca.pem", "third.test", false),
    ] {
        let stream = connect(&site, &client(&site, trusted, BOTH, &[]), name).await;
        assert_eq!(stream.is_ok(), fits, "{name} with {trusted}");
    }
}

#[tokio::test]
async fn what_is_not_our_tls_is_refused_without_harm() {
    let site = Site::new().origin(Origin::echo()).start().await;
    for (name, bytes) in [
        ("a ClientHello of TLS 1.1", client_hello_of_tls_1_1()),
        ("plain HTTP", b"GET / HTTP/1.1\r\nhost: www.example.test\r\n\r\n".to_vec()),
        ("plain HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("zeros", vec![0; 1_000]),
        ("an endless record", [&[22, 3, 1, 255, 255][..], &[1; 20_000]].concat()),
    ] {
        let mut stream = TcpStream::connect(site.address("public")).await.expect("a connection");
        stream.write_all(&bytes).await.expect("sent");
        let mut read = Vec::new();
        // A reset is an end as well.
        let _ = stream.read_to_end(&mut read).await;
        // At most a fatal alert (RFC 8446, section 6.2), and nothing of HTTP.
        let is_alert = matches!(read.as_slice(), [21, 3, _, 0, 2, 2, _]);
        assert!(is_alert || read.is_empty(), "{name}: {read:?}");
    }
    let metrics = site.admin().metrics().await;
    let refused = metrics.sum("palisade_connections_refused_total", &[("listener", "public"), ("reason", "handshake")]);
    assert!((refused - 5.0).abs() < 0.5, "{refused}");
    assert_eq!(site.get("/").await.status, 200);
}

#[tokio::test]
async fn a_client_hello_in_pieces_of_one_byte_is_taken() {
    let site = Site::new().origin(Origin::echo()).start().await;
    let config = client(&site, "ca.pem", BOTH, &["http/1.1"]);
    let stream = TcpStream::connect(site.address("public")).await.expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    let (mut ours, theirs) = tokio::io::duplex(1);
    let relay = tokio::spawn(async move {
        let mut stream = stream;
        let _ = tokio::io::copy_bidirectional_with_sizes(&mut ours, &mut stream, 1, 1).await;
    });
    let name = ServerName::try_from("www.example.test").expect("a name");
    let mut stream = TlsConnector::from(config).connect(name, theirs).await.expect("a handshake");
    stream.write_all(REQUEST).await.expect("sent");
    stream.flush().await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    relay.abort();
}

#[tokio::test]
async fn an_endpoint_is_asked_over_tls_only_if_it_is_who_it_should_be() {
    let other = Authority::new();
    for (ca, name, expected, reason) in [
        ("ca.pem", "www.example.test", 200, ""),
        ("ca.pem", "other.test", 502, "not valid for name"),
        ("other-ca.pem", "www.example.test", 502, "UnknownIssuer"),
    ] {
        let mut site = Site::new()
            .file("other-ca.pem", other.pem())
            .set("upstream.web.tls", json!({ "ca": ca, "server_name": name }))
            .origin(Origin::echo_over_tls())
            .start_process()
            .await;
        let reply = site.connect(Http::H2).await.get("/").await;
        assert_eq!(reply.status, expected, "{ca}, {name}");
        if expected == 502 {
            assert_eq!(reply.text(), "bad gateway\n");
            let labels = [("upstream", "web"), ("reason", "handshake")];
            assert!(site.admin().metrics().await.sum("palisade_upstream_failures_total", &labels) >= 1.0);
            let process = site.process();
            eventually("the access log says why", async || {
                process.log().lines().any(|line| line.contains("\"status\":502") && line.contains(reason))
            })
            .await;
            assert_eq!(site.origin(0).seen(), []);
        }
    }
}

#[tokio::test]
async fn an_endpoint_is_asked_only_if_its_key_is_one_that_is_pinned() {
    let pin =
        |file: &str| format!("openssl x509 -in {file} -pubkey -noout | openssl pkey -pubin -outform der | sha256sum");
    let other = format!("sha256:{}", "ab".repeat(32));
    for (pins, expected) in [(&["own", "other"][..], 200), (&["other"], 502), (&["authority"], 502)] {
        let (folder, _origins) = Site::new().write();
        let digest = async |file: &str| {
            let ended = run_command("sh", &["-c", &pin(file)], folder.path()).await;
            format!("sha256:{}", ended.stdout.split(' ').next().unwrap_or_default())
        };
        let (own, authority) = (digest("site.pem").await, digest("ca.pem").await);
        let pins: Vec<&String> = pins
            .iter()
            .map(|pin| match *pin {
                "own" => &own,
                "authority" => &authority,
                _ => &other,
            })
            .collect();
        let tls = json!({ "ca": "ca.pem", "server_name": "www.example.test", "pins": pins });
        let mut site = Site::new().set("upstream.web.tls", tls).origin(Origin::echo_over_tls()).start_process().await;
        assert_eq!(site.get("/").await.status, expected, "{pins:?}");
        if expected == 502 {
            let told = format!("its key is none of those that tls.pins allows: {own}");
            let process = site.process();
            eventually("the access log says why", async || process.log().contains(&told)).await;
            assert_eq!(site.origin(0).seen(), []);
        }
    }
}

#[tokio::test]
async fn an_endpoint_that_asks_for_a_certificate_is_shown_one() {
    // The endpoint is another host, which lets in only who has a certificate of its authority.
    let endpoint = Site::new()
        .set("listener.public.tls.client_certificates", json!({ "mode": "required", "ca": "ca.pem" }))
        .plugin("knows", "knows-clients", json!({}))
        .set("plugin.knows.grant", json!(["tls"]))
        .chain(&["knows"])
        .origin(Origin::echo())
        .start()
        .await;
    let address = endpoint.address("public").to_string();
    let own = json!({ "chain": "site.pem", "key": "site.key" });
    for protocol in ["h1", "h2"] {
        for (certificate, expected) in [(Some(&own), 200), (None, 502)] {
            let mut tls = json!({ "ca": "ca.pem", "server_name": "www.example.test" });
            if let (Some(certificate), Some(tls)) = (certificate, tls.as_object_mut()) {
                tls.insert("certificate".to_owned(), certificate.clone());
            }
            let site = Site::new()
                .set("upstream.web", json!({ "endpoints": [address], "tls": tls, "protocol": protocol }))
                .start()
                .await;
            let reply = site.get("/").await;
            assert_eq!(reply.status, expected, "{protocol}, {certificate:?}");
            if expected == 200 {
                let told = reply.json();
                assert_eq!(told["headers"]["x-server-name"], json!(["www.example.test"]), "{told}");
                assert!(
                    told["headers"]["x-fingerprint"][0].as_str().is_some_and(|digits| digits.len() == 64),
                    "{told}"
                );
            }
        }
    }
}

#[tokio::test]
async fn an_upstreams_authority_that_goes_bad_is_a_problem_and_the_one_before_holds() {
    let tls = json!({ "ca": "ca.pem", "server_name": "www.example.test" });
    let site = Site::new().set("upstream.web.tls", tls).origin(Origin::echo_over_tls()).start().await;
    let good = fs::read(site.folder().path().join("ca.pem")).expect("a file");
    site.folder().write("ca.pem", "nothing");
    eventually("it is told", async || {
        let problems = site.admin().problems().await;
        problems.len() == 1
            && problems.iter().all(|problem| {
                problem.starts_with("upstream \"web\": there is no root certificate in ")
                    && problem.ends_with("; what was read before holds on")
            })
    })
    .await;
    site.folder().write("ca.pem", good);
    let asked = site.connect(Http::H2).await.get("/").await;
    assert_eq!(asked.status, 200);
    eventually("it is mended", async || site.admin().problems().await.is_empty()).await;
}

#[tokio::test]
async fn an_endpoint_without_tls_is_not_asked_where_tls_is_wanted() {
    let tls = json!({ "ca": "ca.pem", "server_name": "www.example.test" });
    let site = Site::new().set("upstream.web.tls", tls).origin(Origin::echo()).start().await;
    assert_eq!(site.get("/").await.status, 502);
    assert_eq!(site.origin(0).seen(), []);
}

/// A client that trusts the authority of this file of the site.
fn client(
    site: &Running,
    ca: &str,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&str],
) -> Arc<ClientConfig> {
    let mut config = with(site, ca, rustls::crypto::aws_lc_rs::default_provider(), versions);
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

fn with(
    site: &Running,
    ca: &str,
    provider: rustls::crypto::CryptoProvider,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let pem = fs::read(site.folder().path().join(ca)).expect("a file");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem).expect("PEM")).expect("a root");
    let builder = ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(versions);
    let mut config = builder.expect("versions").with_root_certificates(roots).with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(64);
    config
}

async fn connect(site: &Running, config: &Arc<ClientConfig>, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(site.address("public")).await?;
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut stream = TlsConnector::from(config.clone()).connect(name, stream).await?;
    // In TLS 1.3 the client is done before the host has said what it thinks of it.
    stream.flush().await?;
    Ok(stream)
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: www.example.test\r\nconnection: close\r\n\r\n";

/// Asks once and reads all of the answer.
async fn ask(stream: &mut TlsStream<TcpStream>) -> String {
    stream.write_all(REQUEST).await.expect("sent");
    stream.flush().await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer that ends as TLS ends");
    String::from_utf8_lossy(&answer).into_owned()
}

async fn refused(site: &Running, reason: &str) {
    eventually("the refusal is counted", async || {
        let labels = [("listener", "public"), ("reason", reason)];
        site.admin().metrics().await.sum("palisade_connections_refused_total", &labels) > 0.0
    })
    .await;
}

/// An authority that the site does not know.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for this name and its key.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        (params.signed_by(&key, &self.0).expect("a certificate").pem(), key.serialize_pem())
    }
}

/// The oldest form that names a suite of ours: no extension says that more is spoken.
fn client_hello_of_tls_1_1() -> Vec<u8> {
    let mut hello = vec![3, 2];
    hello.extend([7; 32]);
    // No session, two suites, no compression.
    hello.extend([0, 0, 4, 0xc0, 0x2f, 0x00, 0x2f, 1, 0]);
    let length = u8::try_from(hello.len()).expect("a short hello");
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.append(&mut hello);
    record
}
