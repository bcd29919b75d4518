//! Key pairs in files: what plugins are signed with, and what they are checked against.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use palisade_signature::{PublicKey, SecretKey};

/// Writes a new key pair into `NAME.key`, which this user alone can read, and `NAME.pub`.
///
/// # Errors
/// One of the files is there already, or cannot be written.
pub(super) fn generate(name: &Path) -> anyhow::Result<PublicKey> {
    let key = SecretKey::generate().context("there are no random numbers")?;
    let (secret, public) = (with_ending(name, ".key"), with_ending(name, ".pub"));
    // A pair that is half there already stays as it is.
    anyhow::ensure!(!public.exists(), "{} is there already", public.display());
    write_new(&secret, &key.reveal(), 0o600)?;
    write_new(&public, &key.public().to_string(), 0o644)?;
    Ok(key.public())
}

/// The secret key in a file.
///
/// # Errors
/// The file cannot be read or holds none.
pub(super) fn read_secret(file: &Path) -> anyhow::Result<SecretKey> {
    read(file)?.parse().with_context(|| file.display().to_string())
}

/// A public key: the text itself, or what is in the file of this name.
///
/// # Errors
/// It is neither.
pub(super) fn read_public(text_or_file: &str) -> anyhow::Result<PublicKey> {
    if text_or_file.starts_with("ed25519") {
        return text_or_file.parse().context("the key");
    }
    read(Path::new(text_or_file))?.parse().with_context(|| text_or_file.to_owned())
}

fn read(file: &Path) -> anyhow::Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read the key in {}", file.display()))
}

fn write_new(file: &Path, line: &str, mode: u32) -> anyhow::Result<()> {
    let open = OpenOptions::new().write(true).create_new(true).mode(mode).open(file);
    open.and_then(|mut open| writeln!(open, "{line}")).with_context(|| format!("cannot write {}", file.display()))
}

fn with_ending(name: &Path, ending: &str) -> PathBuf {
    [name.as_os_str(), OsStr::new(ending)].into_iter().collect::<std::ffi::OsString>().into()
}
