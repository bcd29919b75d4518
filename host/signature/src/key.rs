//! Key pairs, and the lines of text that they are written as.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{SECRET_KEY_LENGTH, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::signature::{Signature, message};

/// What signatures are checked against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// What plugin files are signed with. Wiped from memory when it is dropped.
pub struct SecretKey(SigningKey);

/// The short name of a public key, which signatures carry: enough to find the key by, and no proof of anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub(crate) [u8; 8]);

/// Why a text is no key. It never holds the text: that may be half of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is not written as this kind of key.
    #[error("is not a key: expected \"{0}\" and 44 characters of base64")]
    Form(&'static str),
    /// A private key stands where a public one belongs.
    #[error("is a private key: expected the public one, which begins with \"{PUBLIC}\"")]
    Secret,
    /// Its bytes are no point that a signature could be checked against (RFC 8032, section 5.1.3).
    #[error("is not an Ed25519 key: no signature can be checked with it")]
    Point,
}

const PUBLIC: &str = "ed25519:";
const SECRET: &str = "ed25519-secret:";

impl PublicKey {
    /// What signatures name it by.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let mut id = [0; 8];
        id.iter_mut().zip(Sha256::digest(self.0.as_bytes())).for_each(|(id, byte)| *id = byte);
        KeyId(id)
    }

    /// Whether the signature is this key's over these contents of a file.
    #[must_use]
    pub fn has_signed(&self, file: &[u8], signature: &Signature) -> bool {
        let (key, signature) = (&self.0, ed25519_dalek::Signature::from_bytes(&signature.bytes));
        key.verify_strict(&message(file), &signature).is_ok()
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if text.starts_with(SECRET) {
            return Err(KeyError::Secret);
        }
        let key = VerifyingKey::from_bytes(&bytes(text, PUBLIC)?).map_err(|_| KeyError::Point)?;
        if key.is_weak() { Err(KeyError::Point) } else { Ok(Self(key)) }
    }
}

impl Display for PublicKey {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{PUBLIC}{}", STANDARD.encode(self.0.as_bytes()))
    }
}

impl SecretKey {
    /// A new one.
    ///
    /// # Errors
    /// The system has no random numbers to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut seed = [0; SECRET_KEY_LENGTH];
        getrandom::fill(&mut seed)?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// The key that its signatures are checked with.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs the contents of a file.
    #[must_use]
    pub fn sign(&self, file: &[u8]) -> Signature {
        Signature { key: self.public().id(), bytes: self.0.sign(&message(file)).to_bytes() }
    }

    /// The line that it is kept as: whoever has it can sign.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{SECRET}{}", STANDARD.encode(self.0.as_bytes()))
    }
}

impl FromStr for SecretKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Ok(Self(SigningKey::from_bytes(&bytes(text, SECRET)?)))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.debug_tuple("SecretKey").field(&self.public().id()).finish()
    }
}

impl Display for KeyId {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

/// The 32 bytes after the prefix; one line end may follow.
fn bytes(text: &str, prefix: &'static str) -> Result<[u8; 32], KeyError> {
    let line = text.strip_suffix('\n').unwrap_or(text);
    let decoded = line.strip_prefix(prefix).and_then(|base64| STANDARD.decode(base64).ok());
    decoded.and_then(|bytes| bytes.try_into().ok()).ok_or(KeyError::Form(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.1, test 1.
    const SEED: &str = "ed25519-secret:nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
    const KEY: &str = "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    #[test]
    fn a_key_is_a_line_of_text_and_comes_back_from_it() {
        let secret: SecretKey = SEED.parse().expect("a key");
        assert_eq!((secret.reveal().as_str(), secret.public().to_string().as_str()), (SEED, KEY));
        assert_eq!(format!("{KEY}\n").parse(), Ok(secret.public()));
        assert_eq!(secret.public().id().to_string(), "21fe31dfa154a261");
        assert!(!format!("{secret:?}").contains("nWGx"));
    }

    #[test]
    fn a_text_that_is_no_key_says_why() {
        let form = "is not a key: expected \"ed25519:\" and 44 characters of base64";
        check("", form);
        check("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", form);
        check("ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo", form);
        check("ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHUR==", form);
        check(&format!("{KEY}\n\n"), form);
        check(SEED, "is a private key: expected the public one, which begins with \"ed25519:\"");
        // The neutral element: a signature under it would fit any message.
        let weak = "ed25519:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        check(weak, "is not an Ed25519 key: no signature can be checked with it");
        assert_eq!(KEY.parse::<SecretKey>().map(drop), Err(KeyError::Form(SECRET)));
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(text.parse::<PublicKey>().expect_err(text).to_string(), expected, "{text}");
    }

    #[test]
    fn no_two_new_keys_are_the_same() {
        let [one, two] = [(); 2].map(|()| SecretKey::generate().expect("random numbers").public());
        assert_ne!(one, two);
    }
}
