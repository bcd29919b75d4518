//! Who clients may be: the files of authorities and of what they have revoked go in, what checks clients' certificates comes
//! out.

use std::sync::Arc;

use palisade_config::{ClientCertificates, ClientMode};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use crate::fingerprint::Fingerprint;
use crate::tls::CertificateError;
use crate::tls::identity::read;

/// What checks the certificates of a listener's clients.
#[derive(Debug)]
pub(super) struct Clients {
    config: ClientCertificates,
    files: Fingerprint,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl Clients {
    /// Reads it. Where it is the same as `before`, it is that one.
    ///
    /// # Errors
    /// A file cannot be read, or what is in it cannot be used.
    pub(super) fn new(
        config: &ClientCertificates,
        provider: Arc<CryptoProvider>,
        before: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, CertificateError> {
        let ca = read("the clients' authorities", &config.ca)?;
        let crl = config.crl.as_ref().map(|file| read("the revoked certificates", file)).transpose()?;
        let files = Fingerprint::of([ca.as_slice()].into_iter().chain(crl.as_deref()));
        if let Some(before) = before.filter(|before| before.files == files) {
            return Ok(before.clone());
        }
        let unusable = |file: &std::path::Path, reason: &dyn ToString| CertificateError::Clients {
            file: file.to_owned(),
            reason: reason.to_string(),
        };
        let roots = roots(config, &ca)?;
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        if let (Some(file), Some(crl)) = (&config.crl, crl) {
            let lists = CertificateRevocationListDer::pem_slice_iter(&crl).collect::<Result<Vec<_>, _>>();
            let lists = lists.map_err(|error| CertificateError::Read {
                what: "the revoked certificates",
                file: file.clone(),
                error,
            })?;
            if lists.is_empty() {
                return Err(CertificateError::None { what: "list of revoked certificates", file: file.clone() });
            }
            builder = builder.with_crls(lists);
        }
        if config.mode == ClientMode::Optional {
            builder = builder.allow_unauthenticated();
        }
        let verifier = builder.build().map_err(|error| unusable(config.crl.as_ref().unwrap_or(&config.ca), &error))?;
        Ok(Arc::new(Self { config: config.clone(), files, verifier }))
    }

    /// Whether it was read from the files of this table.
    pub(super) fn is_of(&self, config: &ClientCertificates) -> bool {
        self.config == *config
    }

    pub(super) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        self.verifier.clone()
    }
}

fn roots(config: &ClientCertificates, pem: &[u8]) -> Result<RootCertStore, CertificateError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| CertificateError::Read {
            what: "the clients' authorities",
            file: config.ca.clone(),
            error,
        })?;
        roots
            .add(certificate)
            .map_err(|error| CertificateError::Clients { file: config.ca.clone(), reason: error.to_string() })?;
    }
    if roots.is_empty() {
        return Err(CertificateError::None { what: "certificate of an authority", file: config.ca.clone() });
    }
    Ok(roots)
}
