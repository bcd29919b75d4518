//! Random numbers without a host call each: seeded by the host once, at the first use.
//!
//! Not when the plugin is configured: instances may be copies of one that was, and would all draw the same.

use palisade_sdk::random;

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): good enough to spread load, not to keep secrets.
#[derive(Debug, Default)]
pub(crate) struct Generator {
    state: Option<u64>,
}

impl Generator {
    #[cfg(test)]
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self { state: Some(seed) }
    }

    /// A number below the limit, each about equally likely; zero where the limit is.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        let state = self.state.unwrap_or_else(random::number).wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.state = Some(state);
        let scaled = (u128::from(mix(state)) * u128::from(limit)) >> 64;
        u64::try_from(scaled).unwrap_or(0)
    }
}

/// Spreads every bit over all others: the finalizer of SplitMix64, a bijection.
pub(crate) fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
