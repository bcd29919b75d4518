//! A certificate that an authority issues: nothing at first, and what it issued last from then on.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use palisade_config::{AcmeCertificate, CertificateFiles, FileCertificate};

use crate::tls::shown::Shown;
use crate::tls::{CertificateError, provider};

/// A certificate that an authority issues. The same one from plan to plan, and for all listeners that show it.
#[derive(Debug)]
pub struct Issued {
    config: AcmeCertificate,
    current: RwLock<Option<Arc<Shown>>>,
}

impl Issued {
    /// What was issued before, if it is kept.
    pub(super) fn new(config: &AcmeCertificate) -> Arc<Self> {
        let issued = Self { config: config.clone(), current: RwLock::default() };
        if config.file.exists()
            && let Err(error) = issued.read()
        {
            tracing::warn!(%error, "a certificate that was issued before cannot be used, and is ordered again");
        }
        Arc::new(issued)
    }

    /// What it is for.
    #[must_use]
    pub fn config(&self) -> &AcmeCertificate {
        &self.config
    }

    /// Shows what is kept in its file from now on.
    ///
    /// # Errors
    /// It cannot be used, or is not for these names; what was shown before is shown on.
    pub fn read(&self) -> Result<(), CertificateError> {
        let AcmeCertificate { file, names, .. } = &self.config;
        let files = CertificateFiles { chain: file.clone(), key: file.clone() };
        let shown = Shown::new(&FileCertificate { files, ocsp: None }, &provider(), None)?;
        if let Some(missing) = names.iter().find(|name| !shown.names().contains(name)) {
            return Err(CertificateError::NotFor { file: file.clone(), name: missing.clone() });
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        Ok(())
    }

    /// When it is to be renewed: after two thirds of its time. None where there is none yet.
    #[must_use]
    pub fn renewal(&self) -> Option<SystemTime> {
        let known = self.current()?.known("");
        let valid = known.expires.duration_since(known.since).unwrap_or_default();
        Some(known.since + valid * 2 / 3)
    }

    pub(super) fn current(&self) -> Option<Arc<Shown>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
