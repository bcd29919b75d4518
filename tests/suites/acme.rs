//! Certificates that a real ACME server issues, Pebble.

use std::fs;
use std::sync::Arc;

use harness::{Behaviour, Http, Origin, Pebble, Running, Site, eventually};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const NAMES: [&str; 2] = ["www.issued.test", "issued.test"];

#[tokio::test]
async fn a_certificate_is_issued_kept_over_a_restart_and_shown_beside_others() {
    let mut pebble = Pebble::new();
    let mut site = site(&pebble, "tls-alpn-01").start_process().await;
    // There is nothing to show yet, and nobody to ask.
    assert!(shown(&site, None, "issued.test").await.is_none());
    failed(&site, 1).await;
    pebble.start(behaviour(&site, 3_600)).await;
    site.admin().reload().await;
    let root = issued(&site, &pebble).await;
    let certificate = shown(&site, Some(&root), "issued.test").await.expect("a certificate");
    for name in NAMES {
        assert_eq!(shown(&site, Some(&root), name).await.as_ref(), Some(&certificate), "{name}");
    }
    assert_eq!(site.get("/").await.status, 200);
    let expiry = [("listener", "public"), ("name", "issued.test"), ("key", "ecdsa")];
    let metrics = site.admin().metrics().await;
    assert_eq!(metrics.series("palisade_certificate_expiry_timestamp_seconds", &expiry), 1);
    let account = fs::read(site.folder().path().join("state/account.json")).expect("an account");
    site.restart().await;
    assert_eq!(shown(&site, Some(&root), "issued.test").await, Some(certificate));
    assert_eq!(site.admin().metrics().await.count("palisade_acme_orders_total", &[]), 0);
    assert_eq!(fs::read(site.folder().path().join("state/account.json")).expect("an account"), account);
    // Who asks for a challenge that nobody is to look at is shown nothing.
    let client = client(Some(&root), &["acme-tls/1"]);
    assert!(handshake(&site, &client, "issued.test").await.is_none());
}

#[tokio::test]
async fn a_certificate_is_renewed_after_two_thirds_of_its_time_and_no_handshake_fails() {
    let mut pebble = Pebble::new();
    let site = site(&pebble, "tls-alpn-01").start().await;
    failed(&site, 1).await;
    pebble.start(behaviour(&site, 9)).await;
    site.admin().reload().await;
    let root = issued(&site, &pebble).await;
    let first = shown(&site, Some(&root), "issued.test").await.expect("a certificate");
    let mut seen = vec![first];
    eventually("it is renewed, twice", async || {
        let next = shown(&site, Some(&root), "issued.test").await.expect("a certificate that is valid");
        if !seen.contains(&next) {
            seen.push(next);
        }
        seen.len() == 3
    })
    .await;
}

#[tokio::test]
async fn a_challenge_is_answered_in_clear_text_before_a_redirect_and_a_chain() {
    let mut pebble = Pebble::new();
    let site = site(&pebble, "http-01")
        .set("listener.plain.redirect_to_https", true)
        .plugin("reply", "reply", json!({}))
        .set("listener.plain.chain", json!(["reply"]))
        .start()
        .await;
    failed(&site, 1).await;
    pebble.start(behaviour(&site, 3_600)).await;
    site.admin().reload().await;
    let root = issued(&site, &pebble).await;
    assert!(shown(&site, Some(&root), "www.issued.test").await.is_some());
    // What is not a challenge of ours is the chain's.
    let other = site.connect(Http::Plain).await.get("/.well-known/acme-challenge/other").await;
    assert_ne!(other.status, 404, "{}", other.text());
}

#[tokio::test]
async fn what_an_authority_finds_wrong_is_told_and_not_tried_again_at_once() {
    let mut pebble = Pebble::new();
    let mut site = site(&pebble, "tls-alpn-01").start_process().await;
    failed(&site, 1).await;
    // It looks where nobody is.
    pebble.start(Behaviour { tls_port: 9, ..behaviour(&site, 3_600) }).await;
    site.admin().reload().await;
    failed(&site, 2).await;
    let process = site.process();
    let told = process.log().lines().rfind(|line| line.contains("was not issued")).map(str::to_owned);
    let told = told.unwrap_or_default();
    assert!(told.contains("Failed to connect to 127.0.0.1:9") && told.contains("60s"), "{told}");
    assert!(shown(&site, None, "issued.test").await.is_none());
    assert_eq!(site.get("/").await.status, 200);
    assert_eq!(site.admin().metrics().await.count("palisade_acme_orders_total", &[("result", "issued")]), 0);
}

/// A site that shows its own certificate, and one that an authority is to issue.
fn site(pebble: &Pebble, challenge: &str) -> Site {
    let own = json!({ "chain": "site.pem", "key": "site.key" });
    let issued = json!({ "acme": "pebble", "names": ["issued.test", "www.issued.test"] });
    let account = json!({
        "directory": pebble.directory(),
        "contact": ["mailto:ops@issued.test"],
        "ca": "pebble.pem",
        "state": "state",
        "challenge": challenge,
    });
    Site::new()
        .file("pebble.pem", pebble.ca())
        .set("acme.pebble", account)
        .set("listener.public.tls.certificates", json!([own, issued]))
        .origin(Origin::echo())
}

fn behaviour(site: &Running, valid_seconds: u64) -> Behaviour {
    let (http_port, tls_port) = (site.address("plain").port(), site.address("public").port());
    Behaviour { http_port, tls_port, valid_seconds }
}

/// Waits until so many orders have failed.
async fn failed(site: &Running, count: u64) {
    eventually("an order has failed", async || {
        site.admin().metrics().await.count("palisade_acme_orders_total", &[("result", "failed")]) == count
    })
    .await;
}

/// Waits until there is a certificate, and gives the root that it is checked against.
async fn issued(site: &Running, pebble: &Pebble) -> String {
    eventually("a certificate is issued", async || {
        site.admin().metrics().await.count("palisade_acme_orders_total", &[("result", "issued")]) > 0
    })
    .await;
    pebble.root().await
}

/// The certificate that the host shows for this name; none where there is no handshake, or it is not to be trusted.
async fn shown(site: &Running, root: Option<&str>, name: &str) -> Option<CertificateDer<'static>> {
    handshake(site, &client(root, &["http/1.1"]), name).await
}

async fn handshake(site: &Running, client: &Arc<ClientConfig>, name: &str) -> Option<CertificateDer<'static>> {
    let stream = TcpStream::connect(site.address("public")).await.expect("a connection");
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut stream = TlsConnector::from(client.clone()).connect(name, stream).await.ok()?;
    stream.flush().await.ok()?;
    let chain = stream.get_ref().1.peer_certificates()?;
    chain.first().map(|certificate| certificate.clone().into_owned())
}

/// A client that trusts this root alone.
fn client(root: Option<&str>, alpn: &[&str]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    if let Some(root) = root {
        roots.add(CertificateDer::from_pem_slice(root.as_bytes()).expect("PEM")).expect("a root");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut client = builder.expect("versions").with_root_certificates(roots).with_no_client_auth();
    client.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    client.resumption = Resumption::disabled();
    Arc::new(client)
}
