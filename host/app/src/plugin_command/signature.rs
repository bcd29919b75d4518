//! Signatures beside plugin files: made, and checked.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use anyhow::Context;
use palisade_engine::{PluginFile, TrustedKey, TrustedKeys};
use palisade_signature::{KeyId, Signature};

use super::key;

/// Signs a file; says by which key and where the signature is.
///
/// # Errors
/// One of the files cannot be read or written, or the key is none.
pub(super) fn sign(file: &Path, secret: &Path) -> anyhow::Result<String> {
    let key = key::read_secret(secret)?;
    // Whatever can be loaded can be signed, and nothing else: the same limits hold.
    let PluginFile { bytes, .. } = read(file, &TrustedKeys::default())?;
    let place = Signature::path_of(file);
    fs::write(&place, key.sign(&bytes).to_string()).with_context(|| format!("cannot write {}", place.display()))?;
    Ok(format!("{}: signed by the key {} in {}", file.display(), key.public().id(), place.display()))
}

/// Which of the public keys has signed a file, as a sentence.
///
/// # Errors
/// None has, or something cannot be read.
pub(super) fn verify(file: &Path, keys: &[String]) -> anyhow::Result<String> {
    let trusted = |text: &String| Ok(TrustedKey { name: text.clone(), key: key::read_public(text)?, expires: None });
    let keys = keys.iter().map(trusted).collect::<anyhow::Result<Vec<_>>>()?;
    let ids: Vec<KeyId> = keys.iter().map(|trusted| trusted.key.id()).collect();
    let names = keys.iter().map(|trusted| trusted.name.clone()).zip(ids);
    let source = read(file, &TrustedKeys::new(keys.clone()))?;
    let signer = names.into_iter().find(|(name, _)| Some(name) == source.signed_by.as_ref());
    let (name, id) = signer.context("no key was given")?;
    Ok(format!("{}: signed by the key {id} ({name})", file.display()))
}

/// What lies beside a file as its signature, in words. It is not checked: whom to believe is not known here.
pub(super) fn describe(file: &Path) -> String {
    match PluginFile::signature_beside(file) {
        Ok(None) => "none".to_owned(),
        Ok(Some(text)) => match text.parse::<Signature>() {
            Ok(signature) => format!("by the key {}, unchecked: see `palisade plugin verify`", signature.key()),
            Err(error) => format!("what lies beside it {error}"),
        },
        Err(reason) => reason.to_string(),
    }
}

/// No key that is given here ends.
pub(super) fn read(file: &Path, keys: &TrustedKeys) -> anyhow::Result<PluginFile> {
    PluginFile::read(file, keys, SystemTime::UNIX_EPOCH).with_context(|| file.display().to_string())
}
