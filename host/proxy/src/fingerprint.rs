//! What files held when they were read: two that are the same held the same.

use sha2::{Digest, Sha256};

/// The digest of everything of some TLS that comes from files, so that a configuration which stays keeps its sessions and
/// connections only while its certificates stay, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of these pieces, in this order.
    pub(crate) fn of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let digest = pieces.into_iter().fold(Sha256::new(), |digest, piece| {
            // With its length: a byte that moves from one piece to the next is a change.
            digest.chain_update(piece.len().to_le_bytes()).chain_update(piece)
        });
        Self(digest.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_of_a_piece_shows() {
        let of = |pieces: &[&str]| Fingerprint::of(pieces.iter().map(|piece| piece.as_bytes()));
        assert_eq!(of(&["ab", "c"]), of(&["ab", "c"]));
        for other in [&["ab", "d"][..], &["a", "bc"], &["abc"], &["ab", "c", ""], &["c", "ab"], &[]] {
            assert_ne!(of(&["ab", "c"]), of(other), "{other:?}");
        }
    }
}
