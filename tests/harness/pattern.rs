//! Bytes of which every position can be told from its neighbours, and their hash.

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// What a body is sent in.
pub(crate) const PIECE_BYTES: usize = 16 << 10;

/// The bytes of the pattern from a position on, at most one piece.
pub(crate) fn piece(position: u64, bytes: u64) -> Bytes {
    let length = usize::try_from(bytes).unwrap_or(usize::MAX).min(PIECE_BYTES);
    (position..).take(length).map(byte).collect()
}

/// 251 is a prime, so pieces of any usual size begin differently.
fn byte(position: u64) -> u8 {
    u8::try_from(position % 251).unwrap_or_default()
}

/// In hexadecimal.
pub(crate) fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
