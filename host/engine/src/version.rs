//! One plugin file as it was read at one time: its code, and who vouched for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use palisade_config::TrustedKeys;
use sha2::{Digest, Sha256};

use crate::manifest::hexadecimal;
use crate::{Engine, Manifest, Module, PluginFile, Reason, compiler};

/// A file that is loaded. Held for as long as a plugin of it may be wanted, whatever becomes of the file.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) module: Module,
    trust: Trust,
}

/// Who vouched for a file, and before whom.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Trust {
    signed_by: Option<String>,
    signature: Option<String>,
    /// The keys of which one was asked for.
    keys: TrustedKeys,
}

/// A file as it was found in its folder.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    /// Of its bytes; none where they are not believed, or were not read.
    sha256: Option<String>,
    pub(crate) signed_by: Option<String>,
    found: Result<Found, Arc<Reason>>,
}

/// What a good file is to its library.
#[derive(Debug, Clone)]
enum Found {
    /// A plugin is made of it.
    Used(Arc<Version>),
    /// No plugin is; its code is not kept.
    Unused(Arc<Manifest>),
}

impl Version {
    /// Whether plugins may still be made of it where these keys are trusted. A key that was trusted when the file was
    /// read may have expired since.
    pub(crate) fn is_trusted(&self, keys: &TrustedKeys, now: SystemTime) -> bool {
        self.trust.keys == *keys || keys.check(self.module.bytes(), self.trust.signature.as_deref(), now).is_ok()
    }

    /// The file's bytes, and the text of the signature that was checked.
    pub(crate) fn contents(&self) -> (&[u8], Option<&str>) {
        (self.module.bytes(), self.trust.signature.as_deref())
    }

    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        self.module.manifest().sha256 == other.module.manifest().sha256
    }
}

impl Finding {
    /// Somebody is still writing the file.
    pub(crate) fn unfinished() -> Self {
        Self::failed(Reason::Unfinished)
    }

    /// Whether the file was ever looked at.
    pub(crate) fn is_known(&self) -> bool {
        !matches!(&self.found, Err(reason) if matches!(reason.as_ref(), Reason::Unfinished))
    }

    fn failed(reason: Reason) -> Self {
        Self { sha256: None, signed_by: None, found: Err(Arc::new(reason)) }
    }

    /// Reads a file. What it held before, if it holds that still, is not loaded again.
    pub(crate) fn of(engine: &Engine, path: &Path, keys: &TrustedKeys, (used, before): (Use, Option<&Self>)) -> Self {
        let read = || {
            let file = PluginFile::read(path, keys, engine.services.clock.wall())?;
            compiler::believes(path, file.signed_by.as_deref()).map(|()| file)
        };
        let file = match contained(read) {
            Ok(file) => file,
            Err(reason) => return Self::failed(reason),
        };
        let sha256 = hexadecimal(&Sha256::digest(&file.bytes));
        let trust = Trust { signed_by: file.signed_by, signature: file.signature, keys: keys.clone() };
        let signed_by = trust.signed_by.clone();
        let known = before.filter(|before| before.sha256.as_ref() == Some(&sha256));
        let found = match known.map(|known| (&known.found, used)) {
            Some((Ok(Found::Used(version)), Use::Some)) => Ok(version.again(trust)),
            Some((Ok(Found::Used(version)), Use::None)) => Ok(Found::Unused(version.module.manifest.clone())),
            Some((known @ (Ok(Found::Unused(_)) | Err(_)), Use::None)) => known.clone(),
            Some((known @ Err(_), Use::Some)) => known.clone(),
            Some((Ok(Found::Unused(_)), Use::Some)) | None => load(engine, file.bytes, trust, used),
        };
        Self { sha256: Some(sha256), signed_by, found }
    }

    /// The file's code, where it is good and a plugin is made of it.
    pub(crate) fn version(&self) -> Option<&Arc<Version>> {
        self.used().ok()
    }

    /// The same, or why there is none.
    pub(crate) fn used(&self) -> Result<&Arc<Version>, Arc<Reason>> {
        match &self.found {
            Ok(Found::Used(version)) => Ok(version),
            // It was not used before, and has not been looked at since.
            Ok(Found::Unused(_)) => Err(Arc::new(Reason::Unfinished)),
            Err(reason) => Err(reason.clone()),
        }
    }

    pub(crate) fn manifest(&self) -> Result<&Manifest, &Reason> {
        match &self.found {
            Ok(Found::Used(version)) => Ok(version.module.manifest()),
            Ok(Found::Unused(manifest)) => Ok(manifest),
            Err(reason) => Err(reason),
        }
    }
}

/// Whether a plugin of the configuration is made of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Some,
    None,
}

impl Version {
    /// The same code, vouched for as it is now.
    fn again(self: &Arc<Self>, trust: Trust) -> Found {
        if self.trust == trust {
            return Found::Used(self.clone());
        }
        Found::Used(Arc::new(Self { module: self.module.clone(), trust }))
    }
}

fn load(engine: &Engine, bytes: Bytes, trust: Trust, used: Use) -> Result<Found, Arc<Reason>> {
    let module = contained(|| Module::of(engine, bytes)).map_err(Arc::new)?;
    Ok(match used {
        Use::Some => Found::Used(Arc::new(Version { module, trust })),
        Use::None => Found::Unused(module.manifest),
    })
}

/// Loading runs a compiler, and what turns modules into components, over bytes that anyone may have made. Where one of
/// these panics, it is that file's error and no one else's.
pub(crate) fn contained<T>(load: impl FnOnce() -> Result<T, Reason>) -> Result<T, Reason> {
    catch_unwind(AssertUnwindSafe(load)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(Reason::Panicked(message.lines().next().unwrap_or_default().to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_over_one_file_is_that_files_error() {
        let error = contained::<()>(|| panic!("over the\nedge")).expect_err("it panicked");
        assert_eq!(error.to_string(), "cannot be loaded: what reads it failed on it (over the)");
        assert!(contained(|| Ok(())).is_ok());
    }
}
