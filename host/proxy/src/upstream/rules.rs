//! What an upstream's table says of each of its endpoints.

use std::ops::RangeInclusive;
use std::time::Duration;

/// What an upstream says of each of its endpoints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Failures in a row after which it is to be looked at; zero for never.
    pub(crate) failures: u32,
    /// How long it takes until it has its whole share.
    pub(crate) slow_start: Duration,
    /// Answers that are failures.
    pub(crate) statuses: Statuses,
}

/// A set of statuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Statuses([u64; 10]);

impl Statuses {
    pub(crate) fn of(ranges: &[RangeInclusive<u16>]) -> Self {
        let mut words = [0; 10];
        for status in ranges.iter().cloned().flatten() {
            if let Some(word) = words.get_mut(usize::from(status / 64)) {
                *word |= 1_u64 << (status % 64);
            }
        }
        Self(words)
    }

    pub(super) fn has(&self, status: u16) -> bool {
        self.0.get(usize::from(status / 64)).is_some_and(|word| word & 1 << (status % 64) != 0)
    }
}

impl Rules {
    pub(super) fn of(config: &palisade_config::Upstream) -> Self {
        let ejection = config.ejection.as_ref();
        Self {
            failures: ejection.and_then(|ejection| ejection.failures).unwrap_or(0),
            slow_start: config.slow_start,
            statuses: ejection.map(|ejection| Statuses::of(&ejection.statuses)).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_statuses_has_its_ends() {
        let statuses = Statuses::of(&[500..=500, 502..=504, 599..=599]);
        let has: Vec<u16> = (0..=u16::MAX).filter(|status| statuses.has(*status)).collect();
        assert_eq!(has, [500, 502, 503, 504, 599]);
    }
}
