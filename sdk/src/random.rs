//! Random numbers from the operating system's generator.

use crate::host;

/// 64 random bits.
pub fn number() -> u64 {
    host::random::number()
}

/// This many random bytes.
pub fn bytes(count: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(count);
    while bytes.len() < count {
        let piece = u32::try_from(count - bytes.len()).unwrap_or(u32::MAX).min(PIECE_MAX);
        bytes.extend(host::random::bytes(piece));
    }
    bytes
}

/// How many bytes the host gives at once.
const PIECE_MAX: u32 = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_bytes_comes() {
        for count in [0, 1, 65_536, 65_537, 200_000] {
            assert_eq!(bytes(count).len(), count);
        }
        assert_ne!(bytes(16), bytes(16));
    }
}
