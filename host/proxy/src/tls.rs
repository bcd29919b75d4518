//! TLS towards clients: certificates chosen by name, versions, tickets.

use std::path::PathBuf;
use std::sync::Arc;

use palisade_config::{CertificateFiles, HttpVersions, ListenerTls, TlsVersion};
use rustls::ServerConfig;
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::fingerprint::Fingerprint;

/// Why a certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file of one of them cannot be read.
    #[error("cannot read {what} in {}: {error}", file.display())]
    Read {
        /// Which of them.
        what: &'static str,
        /// Its file.
        file: PathBuf,
        /// Why.
        error: pem::Error,
    },
    /// There is no certificate in its file.
    #[error("there is no certificate in {}", .0.display())]
    Empty(PathBuf),
    /// They do not belong together, or are of a kind that is not spoken.
    #[error("the certificate in {} and the key in {} cannot be used together: {error}", chain.display(), key.display())]
    Pair {
        /// The certificate's file.
        chain: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        error: rustls::Error,
    },
    /// The versions that are spoken do not fit the crypto provider.
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
    /// The crypto provider lacks what QUIC begins with.
    #[error("QUIC cannot be set up: {0}")]
    Quic(#[from] quinn::crypto::rustls::NoInitialCipherSuite),
}

/// The one crypto provider; it prefers X25519MLKEM768.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// A listener's side of TLS, shared by all workers, so that a ticket of one is good at all.
#[derive(Debug)]
pub(crate) struct ServerTls {
    pub(crate) rustls: Arc<ServerConfig>,
    // What it was made of.
    config: ListenerTls,
    http: HttpVersions,
    files: Fingerprint,
}

impl ServerTls {
    /// From the configuration and the files that it names. Where `before` was made of the same, it is that one: tickets
    /// stay good.
    ///
    /// # Errors
    /// A certificate or key cannot be read or used.
    pub(crate) fn new(
        config: &ListenerTls,
        http: HttpVersions,
        before: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, CertificateError> {
        let identities = config.certificates.iter().map(identity).collect::<Result<Vec<_>, _>>()?;
        let files = Fingerprint::of(identities.iter().flat_map(pieces));
        let same = |before: &&Arc<Self>| before.config == *config && before.http == http && before.files == files;
        if let Some(before) = before.filter(same) {
            return Ok(before.clone());
        }
        let rustls = Arc::new(server(config, http, identities)?);
        Ok(Arc::new(Self { rustls, config: config.clone(), http, files }))
    }
}

fn server(tls: &ListenerTls, http: HttpVersions, identities: Vec<Identity>) -> Result<ServerConfig, CertificateError> {
    let provider = provider();
    let pairs = tls.certificates.iter().zip(identities);
    let certificates =
        pairs.map(|(files, identity)| certified(files, identity, &provider)).collect::<Result<Vec<_>, _>>()?;
    let versions: &[_] = match tls.min_version {
        TlsVersion::V1_2 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::V1_3 => &[&rustls::version::TLS13],
    };
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Certificates(certificates)));
    server.alpn_protocols = [(http.h2, "h2"), (http.h1, "http/1.1"), (http.h1, "http/1.0")]
        .into_iter()
        .filter(|(offered, _)| *offered)
        .map(|(_, name)| name.as_bytes().to_vec())
        .collect();
    if tls.tickets {
        server.ticketer = aws_lc_rs::Ticketer::new()?;
    } else {
        server.send_tls13_tickets = 0;
        server.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    }
    Ok(server)
}

/// A certificate with its intermediates, and its key.
pub(crate) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Everything that an identity is made of.
pub(crate) fn pieces((chain, key): &Identity) -> impl Iterator<Item = &[u8]> {
    chain.iter().map(AsRef::as_ref).chain(std::iter::once(key.secret_der()))
}

/// What a certificate's files hold.
///
/// # Errors
/// One of the files cannot be read.
pub(crate) fn identity(files: &CertificateFiles) -> Result<Identity, CertificateError> {
    let read = |what, file: &PathBuf, error| CertificateError::Read { what, file: file.clone(), error };
    let chain = CertificateDer::pem_file_iter(&files.chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| read("the certificate", &files.chain, error))?;
    if chain.is_empty() {
        return Err(CertificateError::Empty(files.chain.clone()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| read("the private key", &files.key, error))?;
    Ok((chain, key))
}

fn certified(
    files: &CertificateFiles,
    (chain, key): Identity,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, CertificateError> {
    CertifiedKey::from_der(chain, key, provider).map(Arc::new).map_err(|error| CertificateError::Pair {
        chain: files.chain.clone(),
        key: files.key.clone(),
        error,
    })
}

/// The certificates of a listener: the first that is for the name that the client asks for, else the first.
#[derive(Debug)]
struct Certificates(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let [_, _, ..] = self.0.as_slice() else { return self.0.first().cloned() };
        let name = hello.server_name().and_then(|name| ServerName::try_from(name.to_owned()).ok());
        let fitting = name.and_then(|name| self.0.iter().find(|certified| is_for(certified, &name)));
        fitting.or(self.0.first()).cloned()
    }
}

fn is_for(certified: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let parsed = certified.end_entity_cert().ok().and_then(|certificate| ParsedCertificate::try_from(certificate).ok());
    parsed.is_some_and(|parsed| verify_server_name(&parsed, name).is_ok())
}
