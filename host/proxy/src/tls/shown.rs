//! One certificate that clients are shown: its files go in; the pair, checked, and what is known of it come out.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use palisade_config::FileCertificate;
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme};

use crate::fingerprint::Fingerprint;
use crate::tls::about::About;
use crate::tls::identity::{parse, read};
use crate::tls::{CertificateError, staple};

/// A certificate of a listener, as it was read.
#[derive(Debug)]
pub(crate) struct Shown {
    config: FileCertificate,
    files: Fingerprint,
    about: About,
    bare: Arc<CertifiedKey>,
    stapled: Option<Stapled>,
}

/// The same with what its authority says of it, until then.
#[derive(Debug)]
struct Stapled {
    certified: Arc<CertifiedKey>,
    until: Option<Duration>,
}

/// What is known of a certificate that is shown at a listener.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ShownCertificate {
    /// The listener.
    pub listener: String,
    /// The first of its DNS names; empty where it has none.
    pub name: String,
    /// The kind of its key: `ecdsa`, `ed25519` or `rsa`.
    pub key: &'static str,
    /// Since when it is valid.
    pub since: SystemTime,
    /// Until when.
    pub expires: SystemTime,
}

impl Shown {
    /// Reads it. Where it is the same as `before`, it is that one.
    ///
    /// # Errors
    /// One of its files cannot be read, or they do not belong together.
    pub(super) fn new(
        config: &FileCertificate,
        provider: &CryptoProvider,
        before: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, CertificateError> {
        let FileCertificate { files, ocsp } = config;
        let (chain, key) = (read("the certificate", &files.chain)?, read("the private key", &files.key)?);
        let response = ocsp.as_ref().map(|file| read("the OCSP response", file)).transpose()?;
        let contents = [chain.as_slice(), &key].into_iter().chain(response.as_deref());
        let fingerprint = Fingerprint::of(contents);
        if let Some(before) = before.filter(|before| before.files == fingerprint) {
            return Ok(before.clone());
        }
        let (chain, key) = parse(files, &chain, &key)?;
        let own = chain.first().ok_or_else(|| CertificateError::Empty(files.chain.clone()))?;
        let about =
            About::read(own).map_err(|error| CertificateError::Malformed { file: files.chain.clone(), error })?;
        let bare = CertifiedKey::from_der(chain, key, provider).map_err(|error| CertificateError::Pair {
            chain: files.chain.clone(),
            key: files.key.clone(),
            error,
        })?;
        let response = ocsp.as_deref().zip(response);
        let stapled = response.map(|response| stapled(&bare, &about, response, &files.chain)).transpose()?;
        Ok(Arc::new(Self { config: config.clone(), files: fingerprint, about, bare: Arc::new(bare), stapled }))
    }

    /// Whether it was read from the files of this table.
    pub(super) fn is_of(&self, config: &FileCertificate) -> bool {
        self.config == *config
    }

    /// The DNS names that it is for, in lower case.
    pub(super) fn names(&self) -> &[String] {
        &self.about.names
    }

    /// Whether a client that understands these can check it.
    pub(super) fn fits(&self, schemes: &[SignatureScheme]) -> bool {
        self.bare.key.choose_scheme(schemes).is_some()
    }

    /// The kinds of keys, those that cost less first.
    pub(super) fn rank(&self) -> u8 {
        u8::from(self.bare.key.algorithm() == SignatureAlgorithm::RSA)
    }

    /// What a handshake at this time takes.
    pub(super) fn at(&self, now: SystemTime) -> Arc<CertifiedKey> {
        let is_fresh = |until: Duration| now.duration_since(UNIX_EPOCH).is_ok_and(|now| now < until);
        let stapled = self.stapled.as_ref().filter(|stapled| stapled.until.is_none_or(is_fresh));
        stapled.map_or(&self.bare, |stapled| &stapled.certified).clone()
    }

    /// What is known of it.
    pub(super) fn known(&self, listener: &str) -> ShownCertificate {
        ShownCertificate {
            listener: listener.to_owned(),
            name: self.about.names.first().cloned().unwrap_or_default(),
            key: match self.bare.key.algorithm() {
                SignatureAlgorithm::RSA => "rsa",
                SignatureAlgorithm::ED25519 => "ed25519",
                _ => "ecdsa",
            },
            since: UNIX_EPOCH + self.about.from,
            expires: UNIX_EPOCH + self.about.until,
        }
    }
}

fn stapled(
    bare: &CertifiedKey,
    about: &About,
    (file, response): (&Path, Vec<u8>),
    chain: &Path,
) -> Result<Stapled, CertificateError> {
    let until = staple::valid_until(&response, &about.serial).map_err(|reason| CertificateError::Ocsp {
        file: file.to_owned(),
        chain: chain.to_owned(),
        reason,
    })?;
    let mut certified = bare.clone();
    certified.ocsp = Some(response);
    Ok(Stapled { certified: Arc::new(certified), until })
}
