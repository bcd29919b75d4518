//! What holds for whatever finds the same endpoint for the same hash.

use palisade_sdk::{Candidate, Health};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::candidates;
use crate::available::Available;

/// The endpoint of each of many hashes, by its key.
type Homes = fn(&[Candidate]) -> Vec<u64>;

pub(crate) fn one_that_fails_loses_its_own_alone_and_gets_them_back(homes: Homes) {
    let mut all = candidates(&[1; 20]);
    let before = homes(&all);
    all[7].health = Health::Unhealthy;
    let after = homes(&all);
    assert!(before.iter().zip(&after).all(|(before, after)| before == after || *before == all[7].key));
    all[7].health = Health::Healthy;
    assert_eq!(homes(&all), before);
}

pub(crate) fn a_newcomer_takes_its_slow_start_share_of_its_own(homes: Homes) {
    let mut all = candidates(&[1; 4]);
    let before = homes(&all);
    all[2].slow_start_permille = 300;
    let after = homes(&all);
    let kept = before.iter().zip(&after).filter(|(before, after)| before == after && **before == all[2].key).count();
    let own = before.iter().filter(|key| **key == all[2].key).count();
    assert!(kept.abs_diff(own * 3 / 10) < own / 50, "{kept} of {own}");
    assert!(before.iter().zip(&after).all(|(before, after)| before == after || *before == all[2].key));
}

pub(crate) fn the_order_of_the_candidates_does_not_matter(homes: Homes) {
    check(&(prop::collection::vec(1..9_u32, 2..12), 0..12_usize), |(weights, turn)| {
        let candidates = candidates(&weights);
        let mut turned = candidates.clone();
        turned.rotate_left(turn % weights.len());
        prop_assert_eq!(homes(&candidates), homes(&turned));
        Ok(())
    });
}

/// `pick` gives the index for a hash.
pub(crate) fn whoever_is_available_is_found(pick: fn(&[Candidate], &Available<'_>, u64) -> usize) {
    check(&(1..30_usize, 0..30_usize, any::<u64>(), 0..2_u16), |(count, last, number, share)| {
        let mut candidates = candidates(&vec![1; count]);
        let last = last % count;
        for (index, candidate) in candidates.iter_mut().enumerate() {
            candidate.health = if index == last { Health::Healthy } else { Health::Unhealthy };
            candidate.slow_start_permille = share * 1_000;
        }
        let available = Available::among(&candidates).unwrap();
        prop_assert_eq!(pick(&candidates, &available, number), last);
        Ok(())
    });
}

fn check<S: Strategy>(cases: &S, holds: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    TestRunner::new(ProptestConfig::with_cases(32)).run(cases, holds).unwrap();
}
