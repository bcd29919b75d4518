//! Each algorithm against its model, over 100,000 picks.

use std::num::NonZeroU32;

use proptest::prelude::*;

use crate::{
    available::Available,
    generator::mix,
    least_request::{least_request, random},
    maglev::Table,
    peak_ewma::peak_ewma,
    ring::{Bound, Ring},
    round_robin::RoundRobin,
    tests::{candidates, seeded},
};

const PICKS: u32 = 100_000;

/// How often each index was picked.
fn count(among: usize, mut pick: impl FnMut(u32) -> usize) -> Vec<u32> {
    let mut counts = vec![0; among];
    for number in 0..PICKS {
        counts[pick(number)] += 1;
    }
    counts
}

/// Each share is within 2 % of what it should be, and within what chance is allowed: so many standard deviations of the count.
fn are_shares(counts: &[u32], weights: &[u32], deviations: f64) -> Result<(), TestCaseError> {
    let total: u32 = weights.iter().sum();
    for (count, weight) in counts.iter().zip(weights) {
        let share = f64::from(*weight) / f64::from(total);
        let expected = f64::from(PICKS) * share;
        let chance = deviations * (expected * (1.0 - share)).sqrt();
        let off = (f64::from(*count) - expected).abs();
        prop_assert!(off <= (expected / 50.0).max(chance), "{counts:?} for {weights:?}");
    }
    Ok(())
}

/// By chance, one of a billion counts is further off than this.
const BY_CHANCE: f64 = 6.0;

fn weights() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(1..=10_u32, 2..=20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn round_robin_gives_shares_to_a_turn(weights in weights()) {
        let candidates = candidates(&weights);
        let available = Available::among(&candidates).unwrap();
        let mut turns = RoundRobin::default();
        let counts = count(weights.len(), |_| turns.pick(&available));
        let total: u32 = weights.iter().sum();
        for (count, weight) in counts.iter().zip(&weights) {
            let expected = f64::from(PICKS) * f64::from(*weight) / f64::from(total);
            prop_assert!((f64::from(*count) - expected).abs() <= 1.0, "{counts:?} for {weights:?}");
        }
    }

    #[test]
    fn what_draws_at_random_gives_shares_by_weight(weights in weights(), seed: u64) {
        let mut candidates = candidates(&weights);
        candidates.iter_mut().for_each(|candidate| candidate.latency_micros = 1_000);
        let available = Available::among(&candidates).unwrap();
        for pick in [random, least_request, peak_ewma] {
            let mut generator = seeded(seed);
            are_shares(&count(weights.len(), |_| pick(&available, &mut generator)), &weights, BY_CHANCE)?;
        }
    }

    #[test]
    fn maglev_gives_shares_by_weight(weights in weights(), seed: u64) {
        let candidates = candidates(&weights);
        let mut table = Table::default();
        table.follow(1, &candidates, 65_537);
        let available = Available::among(&candidates).unwrap();
        let counts = count(weights.len(), |number| table.pick(mix(seed ^ u64::from(number)), &available));
        are_shares(&counts, &weights, BY_CHANCE)?;
    }

    #[test]
    fn of_maglevs_keys_at_most_two_percent_move_needlessly(leaving in 0..20_usize, seed: u64) {
        let all = candidates(&[1; 20]);
        let left: Vec<_> = all.iter().copied().filter(|candidate| candidate.key != all[leaving].key).collect();
        let homes = |candidates: &[palisade_sdk::Candidate]| -> Vec<u64> {
            let mut table = Table::default();
            table.follow(1, candidates, 65_537);
            let available = Available::among(candidates).unwrap();
            let home = |number| candidates[table.pick(mix(seed ^ u64::from(number)), &available)].key;
            (0..PICKS).map(home).collect()
        };
        let (before, after) = (homes(&all), homes(&left));
        let needless =
            before.iter().zip(&after).filter(|(before, after)| before != after && **before != all[leaving].key);
        let needless = needless.count();
        prop_assert!(needless <= before.len() / 50, "{needless}");
    }

    #[test]
    fn on_a_ring_only_the_keys_of_the_one_that_leaves_move(leaving in 0..20_usize, seed: u64) {
        let all = candidates(&[1; 20]);
        let left: Vec<_> = all.iter().copied().filter(|candidate| candidate.key != all[leaving].key).collect();
        let homes = |candidates: &[palisade_sdk::Candidate]| -> Vec<u64> {
            let (ring, available) = (ring(candidates), Available::among(candidates).unwrap());
            let home = |number| candidates[ring.pick(mix(seed ^ u64::from(number)), &available, Bound(1_250))].key;
            (0..PICKS).map(home).collect()
        };
        let (before, after) = (homes(&all), homes(&left));
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after);
        for (before, _) in moved {
            prop_assert_eq!(*before, all[leaving].key);
        }
    }

    /// Keys as skewed as can be: half of all requests have the same one. None of them ever ends, so that the loads are all that
    /// was picked; at each pick the bound of the paper holds.
    #[test]
    fn bounded_loads_keep_their_bound_whatever_is_asked_for(
        weights in weights(),
        bound in 1_050..3_000_u32,
        seed: u64,
    ) {
        let mut candidates = candidates(&weights);
        let ring = ring(&candidates);
        let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        for number in 0..u64::from(PICKS) {
            let key = if number % 2 == 0 { seed } else { mix(seed ^ number) };
            let index = ring.pick(key, &Available::among(&candidates).unwrap(), Bound(bound));
            candidates[index].in_flight += 1;
            let share = u64::from(candidates[index].weight) * (number + 1) * u64::from(bound);
            let limit = share.div_ceil(total * 1_000);
            prop_assert!(u64::from(candidates[index].in_flight) <= limit, "{number}: {index} over {limit}");
        }
    }

    /// Without load, a ring gives shares as large as the arcs before each one's points: of those within 2 %.
    #[test]
    fn a_ring_gives_shares_as_large_as_its_arcs(weights in weights(), seed: u64) {
        let candidates = candidates(&weights);
        let (ring, available) = (ring(&candidates), Available::among(&candidates).unwrap());
        let pick = |key: u64| ring.pick(key, &available, Bound(1_250));
        // The arcs, measured with a comb of a million teeth.
        let mut arcs = vec![0_u32; weights.len()];
        let teeth = 1_000_000_u64;
        (0..teeth).for_each(|tooth| arcs[pick(u64::MAX / teeth * tooth)] += 1);
        let counts = count(weights.len(), |number| pick(mix(seed ^ u64::from(number))));
        are_shares(&counts, &arcs, BY_CHANCE)?;
        // And the arcs are by weight, as far as 160 points and more for each tell: within three deviations of such a sum.
        let total: u32 = weights.iter().sum();
        let points = 160.0 * weights.len() as f64;
        for (arc, weight) in arcs.iter().zip(&weights) {
            let share = f64::from(*weight) / f64::from(total);
            let off = (f64::from(*arc) / teeth as f64 - share).abs();
            prop_assert!(off <= 5.0 * (share / points).sqrt(), "{arcs:?} for {weights:?}");
        }
    }

    /// Balls into bins that stay there. With two choices the fullest bin is log log n / log 2 and a small constant above the
    /// mean, however many balls there are (Berenbrink, Czumaj, Steger and Vöcking, "Balanced Allocations: The Heavily Loaded
    /// Case", 2000); with one it is the square root of the mean and more.
    #[test]
    fn two_choices_keep_the_fullest_near_the_mean(bins in prop::sample::select(vec![20_usize, 200]), seed: u64) {
        let gap = |pick: &mut dyn FnMut(&Available<'_>) -> usize| {
            let mut candidates = candidates(&vec![1; bins]);
            candidates.iter_mut().for_each(|candidate| candidate.latency_micros = 1_000);
            for _ in 0..PICKS {
                let index = pick(&Available::among(&candidates).unwrap());
                candidates[index].in_flight += 1;
            }
            let fullest = candidates.iter().map(|candidate| candidate.in_flight).max().unwrap();
            fullest - PICKS / u32::try_from(bins).unwrap()
        };
        let mut generator = seeded(seed);
        let one = gap(&mut |available| random(available, &mut generator));
        let two = gap(&mut |available| least_request(available, &mut generator));
        let latency = gap(&mut |available| peak_ewma(available, &mut generator));
        prop_assert!(two <= 5, "{two}");
        prop_assert!(latency <= 5, "{latency}");
        prop_assert!(one >= 4 * two, "{one} with one choice, {two} with two");
    }
}

fn ring(candidates: &[palisade_sdk::Candidate]) -> Ring {
    let mut ring = Ring::default();
    ring.follow(1, candidates, NonZeroU32::new(160).unwrap());
    ring
}
