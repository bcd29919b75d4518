//! What clients are shown: whose certificate, with which key, and what becomes of it when its files change.

mod clients;
mod names;
mod reload;
mod scan;
mod staple;

use std::sync::Arc;

use harness::{Origin, Running, Site, run_command};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256,
    RsaKeySize,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// An authority that clients of these tests trust, beside the site's own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
struct Pair {
    chain: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, "The test's authority");
        Self(CertifiedIssuer::self_signed(params, ecdsa()).expect("an authority"))
    }

    /// A certificate for these names.
    fn sign(&self, names: &[&str], key: &KeyPair) -> Pair {
        self.sign_as(names, key, |_| {})
    }

    /// One that is set up further.
    fn sign_as(&self, names: &[&str], key: &KeyPair, set: impl FnOnce(&mut CertificateParams)) -> Pair {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        set(&mut params);
        let chain = params.signed_by(key, &self.0).expect("a certificate").pem();
        Pair { chain, key: key.serialize_pem() }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("a root");
        roots
    }

    /// A client that trusts this authority alone.
    fn client(&self) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut client = builder.expect("versions").with_root_certificates(self.roots()).with_no_client_auth();
        client.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(client)
    }
}

fn ecdsa() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn rsa() -> KeyPair {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key")
}

/// A site whose listener `public` shows these pairs, in files named by their numbers.
fn showing(authority: &Authority, pairs: &[Pair]) -> Site {
    let mut site = Site::new().file("tests-ca.pem", authority.0.pem()).origin(Origin::echo());
    for (number, pair) in pairs.iter().enumerate() {
        site = site.file(&format!("{number}.pem"), &*pair.chain).file(&format!("{number}.key"), &*pair.key);
    }
    let certificates =
        (0..pairs.len()).map(|number| json!({ "chain": format!("{number}.pem"), "key": format!("{number}.key") }));
    site.set("listener.public.tls.certificates", Value::Array(certificates.collect()))
}

/// A handshake with this name.
async fn shake(site: &Running, client: &Arc<ClientConfig>, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(site.address("public")).await?;
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut stream = TlsConnector::from(client.clone()).connect(name, stream).await?;
    stream.flush().await?;
    Ok(stream)
}

/// The certificate that the host showed.
fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    let chain = stream.get_ref().1.peer_certificates().expect("a certificate");
    chain.first().expect("a certificate").clone().into_owned()
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM")
}

/// What `openssl s_client` says of one handshake.
async fn s_client(site: &Running, arguments: &[&str]) -> String {
    let address = site.address("public").to_string();
    let fixed = ["s_client", "-connect", &address, "-CAfile", "tests-ca.pem"];
    let all: Vec<&str> = fixed.into_iter().chain(arguments.iter().copied()).collect();
    let ended = run_command("openssl", &all, site.folder().path()).await;
    ended.stdout + &ended.stderr
}
