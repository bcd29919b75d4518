//! What came of an endpoint's requests, and of its peers', goes in; why it is to be left alone comes out, and for how long.

use std::time::Duration;

use palisade_config::Ejection;

use crate::upstream::counts::Tally;

/// A median below this is quick enough, however quick the peers are.
const LATENCY_MIN: Duration = Duration::from_millis(10);

/// Peers that have to be there for a comparison.
const PEERS_MIN: usize = 2;

/// What is known of one endpoint.
#[derive(Debug, Clone, Default)]
pub(super) struct Record {
    /// One after the other.
    pub(super) failures: u32,
    /// Within the window.
    pub(super) tally: Tally,
}

/// How long the answers of all endpoints take that have answered enough to be compared.
#[derive(Debug)]
pub(super) struct Peers {
    /// The median of each, sorted.
    medians: Vec<Duration>,
}

impl Peers {
    pub(super) fn of(rules: &Ejection, all: &[Record]) -> Self {
        let comparable = all.iter().filter(|record| rules.latency_factor.is_some() && record.has_enough(rules));
        let mut medians: Vec<Duration> = comparable.filter_map(|record| record.tally.quantile(500)).collect();
        medians.sort_unstable();
        Self { medians }
    }

    /// The median of the others' medians, seen from one of them with this one; none where there are too few others.
    fn typical(&self, own: Duration) -> Option<Duration> {
        let others = self.medians.len().checked_sub(1).filter(|others| *others >= PEERS_MIN)?;
        // Without the own one, those after it stand one place earlier.
        let (middle, own) = (others / 2, self.medians.partition_point(|median| *median < own));
        self.medians.get(if middle < own { middle } else { middle + 1 }).copied()
    }
}

impl Record {
    fn has_enough(&self, rules: &Ejection) -> bool {
        self.tally.requests() >= rules.requests
    }
}

/// Why the endpoint of this record, which is one of the peers', is to be left alone, if it is.
pub(super) fn fault(rules: &Ejection, record: &Record, peers: &Peers) -> Option<String> {
    let Record { failures, tally } = record;
    if rules.failures.is_some_and(|most| *failures >= most) {
        return Some(format!("{failures} failures in a row"));
    }
    if !record.has_enough(rules) {
        return None;
    }
    if let Some(percent) = rules.error_percent {
        let failed = u64::from(tally.failed) * 100 / u64::from(tally.requests().max(1));
        if failed >= u64::from(percent) {
            return Some(format!("{failed} % of {} requests failed", tally.requests()));
        }
    }
    let median = tally.quantile(500).filter(|median| *median >= LATENCY_MIN)?;
    let (factor, typical) = (rules.latency_factor?, peers.typical(median)?);
    (median >= typical.saturating_mul(factor))
        .then(|| format!("its answers take {} ms, those of its peers {} ms", median.as_millis(), typical.as_millis()))
}

/// Whether one more may be left alone, of this many with this many that are out for whatever reason.
pub(super) fn has_room(rules: &Ejection, all: usize, out: usize) -> bool {
    (out + 1) * 100 <= all * usize::from(rules.share_percent)
}

/// For how long, where it was left alone this many times before.
pub(super) fn time(rules: &Ejection, before: u32) -> Duration {
    let doubled = 2_u32.checked_pow(before).and_then(|times| rules.time.checked_mul(times));
    doubled.unwrap_or(rules.time_max).min(rules.time_max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::counts::Counts;

    fn record(failures: u32, answers: u32, micros: u32, failed: u32) -> Record {
        let counts = Counts::default();
        (0..answers).for_each(|_| counts.answered(micros));
        (0..failed).for_each(|_| counts.failed());
        Record { failures, tally: counts.taken() }
    }

    #[track_caller]
    fn check(rules: &Ejection, all: &[Record], expected: Option<&str>) {
        let found = all.first().and_then(|first| fault(rules, first, &Peers::of(rules, all)));
        assert_eq!(found.as_deref(), expected);
    }

    #[test]
    fn failures_in_a_row_are_enough() {
        let rules = Ejection::default();
        check(&rules, &[record(4, 0, 0, 4)], None);
        check(&rules, &[record(5, 0, 0, 5)], Some("5 failures in a row"));
        check(&Ejection { failures: None, ..rules }, &[record(9, 0, 0, 9)], None);
    }

    #[test]
    fn a_share_of_failures_counts_once_there_were_enough_requests() {
        let rules = Ejection { error_percent: Some(40), ..Ejection::default() };
        check(&rules, &[record(0, 11, 900, 8)], None);
        check(&rules, &[record(0, 13, 900, 7)], None);
        check(&rules, &[record(0, 12, 900, 8)], Some("40 % of 20 requests failed"));
        check(&Ejection::default(), &[record(0, 0, 900, 90)], None);
    }

    #[test]
    fn a_slow_one_is_compared_with_its_peers() {
        let rules = Ejection { latency_factor: Some(3), ..Ejection::default() };
        let (slow, quick) = (record(0, 20, 90_000, 0), record(0, 20, 20_000, 0));
        let idle = record(0, 1, 900, 0);
        check(&rules, &[quick.clone(), quick.clone(), slow.clone()], None);
        let all = [slow.clone(), quick.clone(), quick.clone()];
        assert!(fault(&rules, &slow, &Peers::of(&rules, &all)).is_some());
        // With one peer nobody knows which of them is the odd one.
        check(&rules, &[slow.clone(), quick.clone(), idle], None);
        check(&Ejection::default(), &[slow, quick.clone(), quick], None);
        // Nobody waits for what takes a few milliseconds.
        let (odd, peer) = (record(0, 20, 8_000, 0), record(0, 20, 100, 0));
        check(&rules, &[odd, peer.clone(), peer], None);
    }

    #[test]
    fn what_is_typical_is_the_median_of_the_others() {
        let millis = Duration::from_millis;
        for all in [[1, 2, 3, 4, 5].as_slice(), &[1, 1, 3, 9], &[7, 7, 7], &[1, 2]] {
            let peers = Peers { medians: all.iter().copied().map(millis).collect() };
            for place in 0..all.len() {
                let (mut others, own) = (all.to_vec(), all[place]);
                others.remove(place);
                let expected = others.get(others.len() / 2).filter(|_| others.len() >= PEERS_MIN).copied();
                assert_eq!(peers.typical(millis(own)), expected.map(millis), "{own} of {all:?}");
            }
        }
    }

    #[test]
    fn never_more_than_a_share_is_out() {
        let rules = Ejection::default();
        for (all, out, expected) in
            [(1, 0, false), (2, 0, true), (2, 1, false), (3, 0, true), (3, 1, false), (4, 1, true)]
        {
            assert_eq!(has_room(&rules, all, out), expected, "{all} {out}");
        }
        assert!(!has_room(&Ejection { share_percent: 0, ..rules }, 100, 0));
    }

    #[test]
    fn each_time_is_longer_up_to_the_longest() {
        let times: Vec<_> = [0, 1, 2, 3, 4, 99].map(|before| time(&Ejection::default(), before).as_secs()).to_vec();
        assert_eq!(times, [30, 60, 120, 240, 300, 300]);
    }
}
