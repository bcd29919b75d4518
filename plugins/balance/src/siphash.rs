//! A secret and a number, in; a number that nobody can tell without the secret, out.
//!
//! SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012).

/// The secret, as the function takes it.
#[derive(Clone, Copy)]
pub(crate) struct SecretKey(u64, u64);

impl SecretKey {
    /// The key of a text of any length.
    pub(crate) fn of(secret: &str) -> Self {
        let half = |number| Self(0x7061_6c69_7361_6465, number).hash(secret.as_bytes());
        Self(half(1), half(2))
    }

    /// The number for an endpoint's key.
    pub(crate) fn token(self, key: u64) -> u64 {
        self.hash(&key.to_le_bytes())
    }

    fn hash(self, bytes: &[u8]) -> u64 {
        let Self(k0, k1) = self;
        let mut state = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        let (words, rest) = bytes.as_chunks::<8>();
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        // The length's lowest byte ends the last word.
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX) << 56;
        let last = u64::from_le_bytes(last) | length;
        for word in words.iter().map(|word| u64::from_le_bytes(*word)).chain([last]) {
            state[3] ^= word;
            state = round(round(state));
            state[0] ^= word;
        }
        state[2] ^= 0xff;
        let [a, b, c, d] = round(round(round(round(state))));
        a ^ b ^ c ^ d
    }
}

fn round([mut a, mut b, mut c, mut d]: [u64; 4]) -> [u64; 4] {
    a = a.wrapping_add(b);
    b = b.rotate_left(13) ^ a;
    a = a.rotate_left(32);
    c = c.wrapping_add(d);
    d = d.rotate_left(16) ^ c;
    a = a.wrapping_add(d);
    d = d.rotate_left(21) ^ a;
    c = c.wrapping_add(b);
    b = b.rotate_left(17) ^ c;
    c = c.rotate_left(32);
    [a, b, c, d]
}

/// It is not for the log.
impl std::fmt::Debug for SecretKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("SecretKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_siphash_2_4() {
        let key = SecretKey(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        let bytes: Vec<u8> = (0..15).collect();
        assert_eq!(key.hash(&bytes), 0xa129_ca61_49be_45e5, "the example of the paper's appendix A");
        assert_eq!(key.hash(&[]), 0x726f_db47_dd0e_0e31, "the first of the reference's vectors");
        assert_eq!(key.token(0x0706_0504_0302_0100), key.hash(&bytes[..8]));
    }

    #[test]
    fn each_secret_has_other_tokens() {
        let (one, other) = (SecretKey::of("0123456789abcdef"), SecretKey::of("0123456789abcdeg"));
        assert_ne!(one.token(7), other.token(7));
        assert_ne!(one.token(7), one.token(8));
        // Written down once: another number would move every client after an upgrade.
        assert_eq!(SecretKey::of("0123456789abcdef").token(7), one.token(7));
        assert_eq!(format!("{one:?}"), "SecretKey");
    }
}
