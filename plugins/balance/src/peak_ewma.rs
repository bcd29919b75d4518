//! Of two at random, or a few more, the one that is likely to answer first: by latency and load.
//!
//! After Twitter's Finagle (`PeakEwma`), with weights. The latency is the host's moving average, which follows a rise at once
//! and falls with the time; it knows more of it than one instance of a plugin could.

use palisade_sdk::Candidate;

use crate::{
    available::{Available, share, shares},
    generator::Generator,
    least_request::draw,
};

/// Draws two different candidates at random, more likely by their weight, and up to two more while the best of those drawn has
/// requests under way; picks the one where a further request costs least, the first of those where it costs the same.
///
/// Slow endpoints are avoided before their queues have grown, which counting requests alone cannot do. Where endpoints do one thing at
/// a time, two that are drawn are often both busy while others have nothing to do.
pub(crate) fn peak_ewma(available: &Available<'_>, generator: &mut Generator) -> usize {
    let (sum, count) = shares(available);
    let (mean_share, mut left) = (float(sum) / float(count), sum);
    let mut drawn = [0; DRAWS_MAX];
    let mut best: Option<(usize, &Candidate, f64)> = None;
    for number in 0..DRAWS_MAX {
        if number >= DRAWS && best.is_some_and(|(_, candidate, _)| candidate.in_flight == 0) {
            break;
        }
        let (before, after) = drawn.split_at_mut(number);
        let Some((index, candidate)) = draw(available, (before, left), generator) else { break };
        after.iter_mut().take(1).for_each(|place| *place = index);
        left -= share(candidate);
        let cost = cost(candidate, mean_share);
        if best.is_none_or(|(_, _, least)| cost < least) {
            best = Some((index, candidate, cost));
        }
    }
    best.map_or(0, |(index, ..)| index)
}

/// How many are drawn, and at most.
const DRAWS: usize = 2;
const DRAWS_MAX: usize = 4;

/// Latency times the requests under way with this one, those for an endpoint of mean share.
///
/// An endpoint that has not answered yet is free while it has nothing to do, so that it is soon known, and dear until it has
/// answered: requests do not pile up at a newcomer that hangs.
fn cost(candidate: &Candidate, mean_share: f64) -> f64 {
    let load = f64::from(candidate.in_flight) * mean_share / float(share(candidate)) + 1.0;
    match (candidate.latency_micros, candidate.in_flight) {
        (0, 0) => 0.0,
        (0, _) => UNKNOWN_MICROS * load,
        (latency, _) => f64::from(latency) * load,
    }
}

/// More than any latency that is known, whatever the load.
const UNKNOWN_MICROS: f64 = 1e18;

#[expect(clippy::cast_precision_loss, reason = "shares and counts are far below 2^53")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{assert_shares, candidates, seeded};

    /// Of two with these loads and latencies, which one is always picked.
    #[track_caller]
    fn check(loads: [(u32, u32); 2], expected: usize) {
        let mut two = candidates(&[1, 1]);
        for (candidate, (in_flight, latency)) in two.iter_mut().zip(loads) {
            (candidate.in_flight, candidate.latency_micros) = (in_flight, latency);
        }
        let mut generator = seeded(1);
        for _ in 0..100 {
            assert_eq!(peak_ewma(&Available::among(&two).unwrap(), &mut generator), expected, "{loads:?}");
        }
    }

    #[test]
    fn the_one_that_is_likely_to_answer_first_is_picked() {
        check([(0, 1_000), (0, 900)], 1);
        check([(9, 100), (0, 1_100)], 0);
        check([(9, 100), (0, 900)], 1);
        check([(u32::MAX, u32::MAX), (u32::MAX, 1)], 1);
    }

    #[test]
    fn one_that_has_nothing_to_do_is_found_among_those_that_have() {
        let mut four = candidates(&[1, 1, 1, 1]);
        four.iter_mut().for_each(|candidate| (candidate.in_flight, candidate.latency_micros) = (1, 700));
        four[2].in_flight = 0;
        let mut generator = seeded(1);
        for _ in 0..1_000 {
            assert_eq!(peak_ewma(&Available::among(&four).unwrap(), &mut generator), 2);
        }
    }

    #[test]
    fn a_newcomer_gets_one_request_and_more_once_it_has_answered() {
        check([(0, 1_000), (0, 0)], 1);
        check([(5_000, 60_000_000), (1, 0)], 0);
        check([(3, 0), (2, 0)], 1);
    }

    #[test]
    fn equals_share_by_weight_and_slow_start() {
        let mut three = candidates(&[1, 2, 10]);
        three[2].slow_start_permille = 500;
        three.iter_mut().for_each(|candidate| candidate.latency_micros = 700);
        let available = Available::among(&three).unwrap();
        let mut generator = seeded(2);
        assert_shares(100_000, &[1, 2, 5], || peak_ewma(&available, &mut generator));
    }

    #[test]
    fn under_load_equals_are_levelled_by_weight() {
        let mut candidates = candidates(&[1, 1, 2, 4]);
        candidates.iter_mut().for_each(|candidate| candidate.latency_micros = 700);
        let mut generator = seeded(3);
        for _ in 0..8000 {
            let pick = peak_ewma(&Available::among(&candidates).unwrap(), &mut generator);
            candidates[pick].in_flight += 1;
        }
        for candidate in &candidates {
            let expected = 1000 * candidate.weight;
            assert!(candidate.in_flight.abs_diff(expected) <= expected / 50, "{candidates:?}");
        }
    }
}
