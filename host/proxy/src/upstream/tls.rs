//! TLS towards endpoints: verified, always.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use palisade_config::{UpstreamProtocol, UpstreamTls};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName, pem};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::fingerprint::Fingerprint;
use crate::io::Socket;
use crate::tls::{CertificateError, identity, pieces, provider};
use crate::upstream::pinned::Pinned;
use crate::upstream::pool::Purpose;

/// How an upstream's endpoints are connected to.
#[derive(Clone)]
pub(crate) struct Tls {
    connector: TlsConnector,
    /// Offers HTTP/1.1 alone, whatever else is spoken.
    for_upgrades: TlsConnector,
    /// Offers no protocol (RFC 7301): what is spoken is the client's matter.
    for_streams: TlsConnector,
    name: ServerName<'static>,
    files: Fingerprint,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why an upstream cannot be connected to.
#[derive(Debug, thiserror::Error)]
#[error("upstream {upstream:?}: {reason}")]
pub struct UpstreamTlsError {
    /// The upstream.
    pub upstream: String,
    /// What is wrong.
    pub reason: Box<UpstreamTlsReason>,
}

/// What is wrong with an upstream's TLS.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamTlsReason {
    /// `tls.ca`.
    #[error("cannot read the certificates in {}: {error}", file.display())]
    Ca {
        /// The file.
        file: PathBuf,
        /// Why.
        error: pem::Error,
    },
    /// `tls.ca`, or the system's roots.
    #[error("there is no root certificate in {0}")]
    NoRoot(String),
    /// `tls.server_name`.
    #[error("tls.server_name is not a name: {0}")]
    ServerName(#[from] InvalidDnsNameError),
    /// `tls.ca`.
    #[error("endpoints cannot be checked: {0}")]
    Verifier(#[from] VerifierBuilderError),
    /// `tls.certificate`.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The versions that are spoken do not fit the crypto provider.
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
}

impl Tls {
    /// # Errors
    /// Files cannot be read, or what is in them cannot be used.
    pub(crate) fn new(
        upstream: &str,
        config: &UpstreamTls,
        protocol: UpstreamProtocol,
    ) -> Result<Self, UpstreamTlsError> {
        Self::build(config, protocol)
            .map_err(|reason| UpstreamTlsError { upstream: upstream.to_owned(), reason: Box::new(reason) })
    }

    fn build(config: &UpstreamTls, protocol: UpstreamProtocol) -> Result<Self, UpstreamTlsReason> {
        let name = ServerName::try_from(config.server_name.clone())?;
        let (roots, identity) = (roots(config)?, config.certificate.as_ref().map(identity).transpose()?);
        let root_pieces = roots.roots.iter().flat_map(|root| [root.subject.as_ref(), &root.subject_public_key_info]);
        let files = Fingerprint::of(root_pieces.chain(identity.iter().flat_map(pieces)));
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build()?;
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let builder = if config.pins.is_empty() {
            builder.with_webpki_verifier(verifier)
        } else {
            // Nothing is left out: pins are checked when everything else was.
            let pinned = Pinned { verifier, pins: config.pins.clone() };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(pinned))
        };
        let mut client = match identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
        };
        let for_streams = TlsConnector::from(Arc::new(client.clone()));
        client.alpn_protocols = vec![HTTP1.to_vec()];
        let for_upgrades = TlsConnector::from(Arc::new(client.clone()));
        client.alpn_protocols = match protocol {
            UpstreamProtocol::Http1 => vec![HTTP1.to_vec()],
            UpstreamProtocol::Http2 => vec![HTTP2.to_vec()],
            UpstreamProtocol::Auto => vec![HTTP2.to_vec(), HTTP1.to_vec()],
        };
        Ok(Self { connector: TlsConnector::from(Arc::new(client)), for_upgrades, for_streams, name, files })
    }

    /// What its files held.
    pub(crate) fn files(&self) -> Fingerprint {
        self.files
    }

    /// # Errors
    /// The handshake failed, or the endpoint's certificate is not one that we trust for this name.
    pub(crate) async fn connect(&self, stream: Socket, purpose: Purpose) -> io::Result<TlsStream<Socket>> {
        let connector = match purpose {
            Purpose::Exchange => &self.connector,
            Purpose::Upgrade => &self.for_upgrades,
            Purpose::Stream => &self.for_streams,
        };
        connector.connect(self.name.clone(), stream).await
    }
}

/// What ALPN calls them (RFC 7301, section 6).
const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

fn roots(config: &UpstreamTls) -> Result<RootCertStore, UpstreamTlsReason> {
    let mut roots = RootCertStore::empty();
    let from = match &config.ca {
        Some(file) => {
            let certificates = CertificateDer::pem_file_iter(file)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| UpstreamTlsReason::Ca { file: file.clone(), error })?;
            roots.add_parsable_certificates(certificates);
            file.display().to_string()
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            "the system's store".to_owned()
        }
    };
    if roots.is_empty() { Err(UpstreamTlsReason::NoRoot(from)) } else { Ok(roots) }
}
