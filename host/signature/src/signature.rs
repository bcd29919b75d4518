//! A detached signature, and the three lines of text that it is written as.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha512};

use crate::KeyId;

/// A key's signature of one file. That it is well-formed says nothing yet: [`crate::PublicKey::has_signed`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    pub(crate) key: KeyId,
    pub(crate) bytes: [u8; 64],
}

/// A text is no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not one: expected the lines \"{VERSION}\", \"key …\" and \"ed25519 …\"")]
pub struct SignatureError;

const VERSION: &str = "palisade-signature-1";

impl Signature {
    /// More bytes than any signature has as text.
    pub const TEXT_BYTES_MAX: usize = 1_024;

    /// Where the signature of a file lies: beside it, with `.sig` after its whole name.
    #[must_use]
    pub fn path_of(file: &Path) -> PathBuf {
        let mut path = file.as_os_str().to_owned();
        path.push(".sig");
        path.into()
    }

    /// The id of the key that made it, as it says itself.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }
}

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        read(text).ok_or(SignatureError)
    }
}

impl Display for Signature {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{VERSION}\nkey {}\ned25519 {}\n", self.key, STANDARD.encode(self.bytes))
    }
}

fn read(text: &str) -> Option<Signature> {
    let rest = text.strip_prefix(VERSION)?.strip_prefix("\nkey ")?;
    let (key, base64) = rest.strip_suffix('\n').unwrap_or(rest).split_once("\ned25519 ")?;
    Some(Signature { key: key_id(key)?, bytes: STANDARD.decode(base64).ok()?.try_into().ok()? })
}

fn key_id(text: &str) -> Option<KeyId> {
    let is_ours = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_ours.then(|| u64::from_str_radix(text, 16).ok()).flatten().map(|number| KeyId(number.to_be_bytes()))
}

/// What is signed in place of the file: a line that nothing but a plugin's signature begins with, and the file's digest.
pub(crate) fn message(file: &[u8]) -> Vec<u8> {
    [VERSION.as_bytes(), b"\n", &Sha512::digest(file)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretKey;

    #[test]
    fn a_signature_is_three_lines_and_comes_back_from_them() {
        let signature = SecretKey::generate().expect("random numbers").sign(b"plugin");
        let text = signature.to_string();
        assert_eq!((text.lines().count(), text.parse()), (3, Ok(signature)));
        assert_eq!(text.trim_end().parse(), Ok(signature));
        assert!(text.len() < Signature::TEXT_BYTES_MAX);
    }

    #[test]
    fn nothing_else_is_a_signature() {
        let good = SecretKey::generate().expect("random numbers").sign(b"plugin").to_string();
        let (_, key) = good.split_once("key ").expect("a key");
        let (id, _) = key.split_once('\n').expect("a line");
        for wrong in [
            String::new(),
            good.repeat(2),
            good.replace("-1", "-2"),
            good.replace(id, &id[1..]),
            good.replace(id, "+000000000000000"),
            good.replace(id, &"A".repeat(16)),
            good.replace("==", ""),
            good.replace("ed25519 ", "ed25519  "),
            good.replace('\n', "\r\n"),
            format!("{good}\n"),
        ] {
            assert_eq!(wrong.parse::<Signature>(), Err(SignatureError), "{wrong:?}");
        }
    }
}
