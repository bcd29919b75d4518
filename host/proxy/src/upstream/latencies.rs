//! How long answers took in, how long so many of them take out. Of late: older ones count less and less.

use std::cell::{Cell, RefCell};
use std::time::Duration;

/// The answers of one upstream, as one worker has seen them.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    counts: RefCell<Vec<u32>>,
    known: Cell<u32>,
}

/// Four for each time that doubles, from a microsecond to more than a minute.
const BUCKETS: usize = 27 * 4;
/// Fewer say nothing.
const KNOWN_MIN: u32 = 50;
/// With so many, each counts half from then on.
const KNOWN_MAX: u32 = 2_000;

impl Latencies {
    /// An answer took so long.
    pub(crate) fn add(&self, time: Duration) {
        let mut counts = self.counts.borrow_mut();
        counts.resize(BUCKETS, 0);
        if let Some(count) = counts.get_mut(bucket(time)) {
            *count += 1;
        }
        self.known.set(self.known.get() + 1);
        if self.known.get() >= KNOWN_MAX {
            counts.iter_mut().for_each(|count| *count /= 2);
            self.known.set(counts.iter().sum());
        }
    }

    /// The time within which so many of a hundred answers came, rounded up to a quarter of it; none while too few are known.
    pub(crate) fn percentile(&self, percent: u32) -> Option<Duration> {
        let known = self.known.get();
        if known < KNOWN_MIN {
            return None;
        }
        let wanted = u64::from(known) * u64::from(percent) / 100;
        let mut sum = 0_u64;
        let place = self.counts.borrow().iter().position(|count| {
            sum += u64::from(*count);
            sum > wanted
        });
        Some(end(place.unwrap_or(BUCKETS - 1)))
    }
}

fn bucket(time: Duration) -> usize {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
    let doubled = micros.ilog2();
    // The two bits after the first.
    let quarter = ((u128::from(micros) << 2) >> doubled) & 3;
    let place = usize::try_from(doubled).unwrap_or(BUCKETS) * 4 + usize::try_from(quarter).unwrap_or_default();
    place.min(BUCKETS - 1)
}

/// The longest time of a bucket.
fn end(bucket: usize) -> Duration {
    let (doubled, quarter) = (bucket / 4, bucket % 4);
    let quarters = u64::try_from(quarter + 5).unwrap_or(8);
    Duration::from_micros((quarters << doubled.min(40)).div_ceil(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_answers_come_within_a_percentile() {
        let latencies = Latencies::default();
        (1..50).for_each(|_| latencies.add(Duration::from_millis(1)));
        assert_eq!(latencies.percentile(95), None, "too few");
        for millis in 1..=1_000 {
            latencies.add(Duration::from_millis(millis));
        }
        for (percent, least, most) in [(50, 450, 650), (95, 900, 1_250), (99, 950, 1_250)] {
            let found = latencies.percentile(percent).expect("enough").as_millis();
            assert!((least..=most).contains(&found), "{percent}: {found}");
        }
        // What is faster from now on is known soon.
        (0..20_000).for_each(|_| latencies.add(Duration::from_millis(2)));
        let found = latencies.percentile(99).expect("enough").as_micros();
        assert!((2_000..=2_600).contains(&found), "{found}");
    }

    #[test]
    fn every_time_has_its_place() {
        for micros in (0..100_000).chain([1 << 26, 1 << 40, u64::MAX]) {
            let time = Duration::from_micros(micros);
            let place = bucket(time);
            assert!(place == BUCKETS - 1 || end(place) >= time, "{micros} in {place}");
            assert!(place == 0 || end(place - 1) <= time, "{micros} in {place}");
        }
    }
}
