//! Endpoints whose certificates may have certain keys alone, beside everything that is checked of every endpoint.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, SignatureScheme};
use sha2::{Digest, Sha256};

/// Checks certificates as always, and then their keys.
#[derive(Debug)]
pub(super) struct Pinned {
    pub(super) verifier: Arc<WebPkiServerVerifier>,
    /// The SHA-256 of each `SubjectPublicKeyInfo`.
    pub(super) pins: Vec<[u8; 32]>,
}

/// A certificate that is good has another key.
#[derive(thiserror::Error)]
#[error("its key is none of those that tls.pins allows: sha256:{0}")]
struct OtherKey(String);

/// What rustls prints of it.
impl fmt::Debug for OtherKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        // The endpoint's own alone: what it sends along need not be on the way to the root.
        let key = ParsedCertificate::try_from(end_entity)?.subject_public_key_info();
        let pin: [u8; 32] = Sha256::digest(key.as_ref()).into();
        if self.pins.contains(&pin) {
            return Ok(verified);
        }
        let pin = pin.iter().map(|byte| format!("{byte:02x}")).collect();
        Err(CertificateError::Other(OtherError(Arc::new(OtherKey(pin)))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.verifier.root_hint_subjects()
    }
}
