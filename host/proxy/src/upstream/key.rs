//! An address in, the number that consistent hashes know it by out: the same on every host, for ever.

/// FNV-1a, 64 bits, finished by a mixer (SplitMix64's) so that addresses which differ in one digit are far apart.
pub(super) fn fnv1a(bytes: &[u8]) -> u64 {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_an_address_never_changes() {
        assert_eq!(fnv1a(b"10.0.0.1:80"), fnv1a(b"10.0.0.1:80"));
        assert_ne!(fnv1a(b"10.0.0.1:80"), fnv1a(b"10.0.0.2:80"));
        // Written down once: a change would move every client of every consistent hash.
        assert_eq!(fnv1a(b""), 0xf52a_15e9_a9b5_e89b);
    }
}
