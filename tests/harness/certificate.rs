//! One authority for all tests of a process, and the certificate that every server of theirs shows.

use std::sync::{Arc, OnceLock};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// Whom the certificate is for.
const NAMES: [&str; 4] = ["www.example.test", "*.example.test", "localhost", "127.0.0.1"];

/// Everything in PEM.
pub(crate) struct Certificate {
    pub(crate) authority: String,
    pub(crate) chain: String,
    pub(crate) key: String,
}

/// The certificate of this process.
pub(crate) fn certificate() -> &'static Certificate {
    static MADE: OnceLock<Certificate> = OnceLock::new();
    MADE.get_or_init(make)
}

fn make() -> Certificate {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, "Palisade test authority");
    let authority = CertifiedIssuer::self_signed(params, key()).expect("an authority");
    let own = key();
    let params = CertificateParams::new(NAMES.map(String::from)).expect("names");
    let signed = params.signed_by(&own, &authority).expect("a certificate");
    Certificate { authority: authority.pem(), chain: signed.pem(), key: own.serialize_pem() }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

/// A client that trusts our authority and offers these protocols.
pub(crate) fn client(alpn: &[&str]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(certificate().authority.as_bytes()).expect("PEM");
    roots.add(authority).expect("a root");
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// A server that shows our certificate and speaks these protocols.
pub(crate) fn server(alpn: &[&str]) -> Arc<ServerConfig> {
    let chain = CertificateDer::from_pem_slice(certificate().chain.as_bytes()).expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(certificate().key.as_bytes()).expect("PEM");
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![chain], key);
    let mut config = config.expect("a server's configuration");
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
