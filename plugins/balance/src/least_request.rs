//! Least request by the power of two choices, and plain weighted random, which is its first half.

use palisade_sdk::Candidate;

use crate::{
    available::{Available, share, shares},
    generator::Generator,
};

/// A candidate at random, more likely by its weight.
pub(crate) fn random(available: &Available<'_>, generator: &mut Generator) -> usize {
    draw(available, (&[], shares(available).0), generator).map_or(0, |(index, _)| index)
}

/// Draws two different candidates at random, more likely by their weight, and picks the one with fewer requests under
/// way for its weight; the first, where they are equal.
///
/// That keeps the fullest queue within O(log log n) of the average (Mitzenmacher, 2001) without the herd that follows
/// when every worker picks the one least loaded endpoint at the same time. On idle endpoints it spreads by weight.
pub(crate) fn least_request(available: &Available<'_>, generator: &mut Generator) -> usize {
    let (all, _) = shares(available);
    let Some(first) = draw(available, (&[], all), generator) else { return 0 };
    match draw(available, (&[first.0], all - share(first.1)), generator) {
        Some(second) if is_less_loaded(second.1, first.1) => second.0,
        _ => first.0,
    }
}

/// Fewer requests under way, each for its share.
pub(crate) fn is_less_loaded(one: &Candidate, other: &Candidate) -> bool {
    let load = |a: &Candidate, b: &Candidate| u128::from(a.in_flight) * u128::from(share(b));
    load(one, other) < load(other, one)
}

/// One at random by its share, other than these, where the others' shares come to so much; none where there is no other.
pub(crate) fn draw<'a>(
    available: &Available<'a>,
    (except, total): (&[usize], u64),
    generator: &mut Generator,
) -> Option<(usize, &'a Candidate)> {
    let mut left = generator.below(total);
    available.iter().filter(|(index, _)| !except.contains(index)).find(|(_, candidate)| {
        match left.checked_sub(share(candidate)) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::{assert_shares, candidates, seeded};

    #[test]
    fn random_spreads_by_weight() {
        let candidates = candidates(&[1, 2, 5]);
        let available = Available::among(&candidates).unwrap();
        let mut generator = seeded(1);
        assert_shares(100_000, &[1, 2, 5], || random(&available, &mut generator));
    }

    #[test]
    fn on_idle_endpoints_least_request_spreads_by_weight() {
        let candidates = candidates(&[1, 2, 5]);
        let available = Available::among(&candidates).unwrap();
        let mut generator = seeded(2);
        assert_shares(100_000, &[1, 2, 5], || least_request(&available, &mut generator));
    }

    #[test]
    fn under_load_least_request_levels_by_weight() {
        let mut candidates = candidates(&[1, 1, 2, 4]);
        let mut generator = seeded(3);
        for _ in 0..8000 {
            let pick = least_request(&Available::among(&candidates).unwrap(), &mut generator);
            candidates[pick].in_flight += 1;
        }
        for candidate in &candidates {
            let expected = 1000 * candidate.weight;
            assert!(candidate.in_flight.abs_diff(expected) <= expected / 50, "{candidates:?}");
        }
    }

    proptest! {
        #[test]
        fn the_more_loaded_of_two_is_never_picked(
            loads in prop::collection::vec((1..9_u32, 0..9_u32), 2..3),
            seed: u64,
        ) {
            let mut two = candidates(&loads.iter().map(|(weight, _)| *weight).collect::<Vec<_>>());
            for (candidate, (_, in_flight)) in two.iter_mut().zip(&loads) {
                candidate.in_flight = *in_flight;
            }
            let mut generator = seeded(seed);
            let pick = least_request(&Available::among(&two).unwrap(), &mut generator);
            prop_assert!(!is_less_loaded(&two[1 - pick], &two[pick]));
        }

        #[test]
        fn the_most_loaded_of_many_is_never_picked(count in 2..20_usize, most in 0..20_usize, seed: u64) {
            let mut many = candidates(&vec![1; count]);
            let most = most % count;
            many[most].in_flight = 1;
            let pick = least_request(&Available::among(&many).unwrap(), &mut seeded(seed));
            prop_assert_ne!(pick, most);
        }
    }
}
