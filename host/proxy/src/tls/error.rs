//! Why a certificate cannot be shown.

use std::path::PathBuf;

use rustls::pki_types::pem;

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
    /// The certificate is malformed.
    #[error("the certificate in {} is not one: {error}", file.display())]
    Malformed {
        /// Its file.
        file: PathBuf,
        /// Why.
        error: x509_cert::der::Error,
    },
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
    /// The OCSP response is not one for the certificate.
    #[error("the OCSP response in {} cannot be shown with the certificate in {}: {reason}", file.display(), chain.display())]
    Ocsp {
        /// Its file.
        file: PathBuf,
        /// The certificate's file.
        chain: PathBuf,
        /// Why.
        reason: StapleError,
    },
    /// A certificate was issued for other names.
    #[error("the certificate in {} is not for {name:?}", file.display())]
    NotFor {
        /// Its file.
        file: PathBuf,
        /// One that it is not for.
        name: String,
    },
    /// There is nothing of the kind in this file.
    #[error("there is no {what} in {}", file.display())]
    None {
        /// Which.
        what: &'static str,
        /// The file.
        file: PathBuf,
    },
    /// Clients' certificates cannot be checked with these.
    #[error("clients' certificates cannot be checked by {}: {reason}", file.display())]
    Clients {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// The versions that are spoken do not fit the crypto provider.
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
    /// The crypto provider lacks what QUIC begins with.
    #[error("QUIC cannot be set up: {0}")]
    Quic(#[from] quinn::crypto::rustls::NoInitialCipherSuite),
}

/// Why an OCSP response is not shown.
#[derive(Debug, thiserror::Error)]
pub enum StapleError {
    /// It is not one of RFC 6960.
    #[error("it is not a DER file of RFC 6960: {0}")]
    Malformed(#[from] x509_cert::der::Error),
    /// The responder had no answer.
    #[error("the responder has answered {0:?}")]
    NoAnswer(x509_ocsp::OcspResponseStatus),
    /// It is about other certificates.
    #[error("it does not speak of this certificate")]
    Other,
    /// It says that the certificate is not to be trusted.
    #[error("it says that the certificate is revoked or not known")]
    NotGood,
}
