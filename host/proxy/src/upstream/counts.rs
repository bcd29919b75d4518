//! What an endpoint answers is counted here, by how long it took; how many, and how long most of them took, comes out.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Steps of a quarter octave, from 64 µs to a minute.
const BUCKETS: usize = 2 + 4 * OCTAVES;
const OCTAVES: usize = 20;
const FIRST_BITS: u32 = 6;

/// Counted since the endpoint is known. It wraps: only differences are looked at.
#[derive(Debug)]
pub(crate) struct Counts {
    answered: [AtomicU32; BUCKETS],
    failed: AtomicU32,
}

impl Default for Counts {
    fn default() -> Self {
        Self { answered: std::array::from_fn(|_| AtomicU32::new(0)), failed: AtomicU32::new(0) }
    }
}

impl Counts {
    pub(super) fn answered(&self, micros: u32) {
        if let Some(bucket) = self.answered.get(bucket(micros)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// As it is now.
    pub(crate) fn taken(&self) -> Tally {
        let load = |count: &AtomicU32| count.load(Ordering::Relaxed);
        Tally { answered: self.answered.each_ref().map(load), failed: load(&self.failed) }
    }
}

/// Counts of one moment, or of the time between two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tally {
    answered: [u32; BUCKETS],
    pub(crate) failed: u32,
}

impl Default for Tally {
    fn default() -> Self {
        Self { answered: [0; BUCKETS], failed: 0 }
    }
}

impl Tally {
    /// What came after another moment.
    pub(crate) fn since(mut self, earlier: &Self) -> Self {
        for (count, before) in self.answered.iter_mut().zip(earlier.answered) {
            *count = count.wrapping_sub(before);
        }
        self.failed = self.failed.wrapping_sub(earlier.failed);
        self
    }

    pub(crate) fn answered(&self) -> u32 {
        self.answered.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    pub(crate) fn requests(&self) -> u32 {
        self.answered().saturating_add(self.failed)
    }

    /// No more than this many thousandths of the answers took longer; none where nothing was answered.
    pub(crate) fn quantile(&self, permille: u32) -> Option<Duration> {
        let all = u64::from(self.answered());
        let rank = (all * u64::from(permille)).div_ceil(1_000).max(1);
        let mut below = 0;
        for (index, count) in self.answered.iter().enumerate() {
            let count = u64::from(*count);
            if below + count >= rank {
                let (from, to) = bounds(index);
                // As if they were spread evenly within the step.
                return Some(Duration::from_micros(from + (to - from) * (rank - below) / count.max(1)));
            }
            below += count;
        }
        None
    }
}

fn bucket(micros: u32) -> usize {
    let Some(octave) = micros.checked_ilog2().and_then(|bits| bits.checked_sub(FIRST_BITS)) else { return 0 };
    let quarter = (micros >> (octave + FIRST_BITS - 2)) & 3;
    let index = 1 + 4 * usize::try_from(octave).unwrap_or(OCTAVES) + usize::try_from(quarter).unwrap_or_default();
    index.min(BUCKETS - 1)
}

/// The microseconds from and to which a bucket goes.
fn bounds(index: usize) -> (u64, u64) {
    let Some(steps) = index.checked_sub(1).and_then(|steps| u32::try_from(steps).ok()) else {
        return (0, 1 << FIRST_BITS);
    };
    let (octave, quarter) = (steps / 4, u64::from(steps % 4));
    let step = 1_u64 << (octave + FIRST_BITS - 2);
    ((4 + quarter) * step, (5 + quarter) * step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_within_its_step() {
        for micros in [0, 1, 63, 64, 65, 79, 80, 127, 128, 999, 1_000, 12_345, 999_999, 30_000_000, 60_000_000] {
            let (from, to) = bounds(bucket(micros));
            assert!((from..to).contains(&u64::from(micros)), "{micros}: {from} to {to}");
        }
        assert_eq!(bucket(u32::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_of_what_was_answered_since() {
        let counts = Counts::default();
        (0..1_000).for_each(|_| counts.answered(50_000));
        counts.failed();
        let before = counts.taken();
        assert_eq!(counts.taken().since(&before), Tally::default());
        assert_eq!(Tally::default().quantile(500), None);
        (0..90).for_each(|_| counts.answered(1_000));
        (0..10).for_each(|_| counts.answered(100_000));
        let since = counts.taken().since(&before);
        assert_eq!((since.requests(), since.failed), (100, 0));
        for (permille, micros) in [(500, 1_000), (900, 1_000), (910, 100_000), (990, 100_000), (1_000, 100_000)] {
            let (from, to) = bounds(bucket(micros));
            let found = since.quantile(permille).map(|found| found.as_micros());
            assert!(
                found.is_some_and(|found| (u128::from(from)..=u128::from(to)).contains(&found)),
                "{permille}: {found:?}"
            );
        }
    }
}
