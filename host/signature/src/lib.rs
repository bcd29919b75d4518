//! Keys and detached signatures of plugin files: bytes and text in, who signed them or why nobody is believed out.
//!
//! There is no file, no clock and no WebAssembly here: whoever loads plugins hands in the very bytes that are used
//! afterwards, the text that lies beside them, and the time. [`TrustedKeys::check`] is the whole of it.
//!
//! | what | how it is written |
//! |---|---|
//! | public key | `ed25519:` and the key in base64, on one line |
//! | private key | `ed25519-secret:` and its seed in base64, on one line |
//! | key id | the first eight bytes of the public key's SHA-256, in hexadecimal |
//! | signature | three lines: `palisade-signature-1`, `key` and the key id, `ed25519` and the signature in base64 |
//!
//! What is signed (Ed25519, RFC 8032, verified strictly) is the line `palisade-signature-1`, its line end, and the SHA-512
//! of the file. A signature for anything else can therefore never be taken for one of a plugin. It vouches for what the
//! file holds, not for the name that the file has.

#![forbid(unsafe_code)]

mod key;
mod signature;
mod trust;

pub use key::{KeyError, KeyId, PublicKey, SecretKey};
pub use signature::{Signature, SignatureError};
pub use time::{Date, Month};
pub use trust::{Distrust, TrustedKey, TrustedKeys};
