//! Ring hash with bounded loads: a number for a request and the loads, in; the endpoint that it belongs to, or the next one
//! that is not overloaded, out.
//!
//! Rings are after Karger et al., "Consistent Hashing and Random Trees", STOC 1997; the bound after Mirrokni, Thorup and
//! Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2016: no endpoint has more than so many times its share of all
//! requests that are under way, rounded up.

use std::num::NonZeroU32;

use palisade_sdk::Candidate;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    available::{Available, share},
    generator::mix,
    hash::takes,
    members::{Member, Members},
};

/// The ring of one upstream. It depends on the endpoints' keys and weights alone, not on their order nor their health.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    members: Members,
    points: Vec<Point>,
}

/// A place on the ring, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Point {
    place: u32,
    member: u16,
}

impl Ring {
    /// Makes the ring follow the candidates. True where it had to be built, with so many points for each of mean weight.
    pub(crate) fn follow(&mut self, version: u64, candidates: &[Candidate], points_each: NonZeroU32) -> bool {
        let is_new = self.members.change(version, candidates);
        if is_new {
            self.points = points(self.members.all(), points_each);
        }
        is_new
    }

    /// The index of the first candidate from the number's place on that has room; a newcomer takes only its slow-start share of
    /// the numbers, always the same ones.
    pub(crate) fn pick(&self, number: u64, available: &Available<'_>, bound: Bound) -> usize {
        let limit = bound.limit(available);
        let place = u32::try_from(number >> 32).unwrap_or(0);
        let start = self.points.partition_point(|point| point.place < place);
        let (before, after) = self.points.split_at_checked(start).unwrap_or_default();
        let (mut first, mut with_room, mut passed) = (None, None, 0);
        for point in after.iter().chain(before) {
            let index = usize::from(point.member);
            let Some(candidate) = available.get(index) else { continue };
            first.get_or_insert(index);
            if !limit.has_room(candidate) {
                continue;
            }
            with_room.get_or_insert(index);
            if takes(candidate, number) {
                return index;
            }
            passed += 1;
            if passed >= NEWCOMERS_PASSED_MAX {
                break;
            }
        }
        with_room.or(first).or_else(|| available.iter().next().map(|(index, _)| index)).unwrap_or(0)
    }
}

/// How many points of newcomers are passed by before the first of them takes the request after all.
const NEWCOMERS_PASSED_MAX: usize = 64;

/// Each member's points are the first of an endless row of its own, so that a change of weights moves as few as can be.
fn points(members: &[Member], each: NonZeroU32) -> Vec<Point> {
    let weights: u64 = members.iter().map(|member| u64::from(member.weight)).sum();
    let count = u64::try_from(members.len()).unwrap_or(u64::MAX);
    let total = u64::from(each.get()).saturating_mul(count).min(POINTS_MAX.max(count));
    let mut keyed = Vec::new();
    for (member, index) in members.iter().zip(0..u16::MAX) {
        let own = (total * u64::from(member.weight)).div_ceil(weights.max(1)).max(1);
        let seed = mix(member.key ^ SEED);
        let place = |step: u64| mix(seed.wrapping_add(step.wrapping_mul(0x9e37_79b9_7f4a_7c15))) >> 32;
        keyed.extend((0..own).map(|step| (place(step), member.key, index)));
    }
    // By key where two fall on one place: the order in which the host lists them must not matter.
    keyed.sort_unstable();
    let point = |(place, _, member)| Point { place: u32::try_from(place).unwrap_or(u32::MAX), member };
    keyed.into_iter().map(point).collect()
}

/// The points of a ring, whatever the number of endpoints: 512 KiB.
const POINTS_MAX: u64 = 65_536;

/// Makes a ring's hashes others than a Maglev table's.
const SEED: u64 = 0x6a09_e667_f3bc_c908;

/// How much more than its share an endpoint may have, in thousandths of it: 1,000 and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "f64")]
#[schemars(with = "f64", extend("minimum" = 1.05, "maximum" = 100))]
pub(crate) struct Bound(pub(crate) u32);

impl Default for Bound {
    fn default() -> Self {
        Self(1_250)
    }
}

/// The bound for the requests that are under way now.
#[derive(Debug, Clone, Copy)]
struct Limit {
    /// All requests with the one that is to be placed, times the bound.
    numerator: u128,
    /// All shares, times a thousand.
    denominator: u128,
}

impl Bound {
    fn limit(self, available: &Available<'_>) -> Limit {
        let sum = |(load, shares), (_, candidate): (usize, &Candidate)| {
            (load + u128::from(candidate.in_flight), shares + u128::from(share(candidate)))
        };
        let (load, shares) = available.iter().fold((0_u128, 0_u128), sum);
        Limit { numerator: (load + 1) * u128::from(self.0), denominator: (shares * 1_000).max(1) }
    }
}

impl Limit {
    fn has_room(self, candidate: &Candidate) -> bool {
        u128::from(candidate.in_flight) < (self.numerator * u128::from(share(candidate))).div_ceil(self.denominator)
    }
}

#[cfg(test)]
mod tests {
    use palisade_sdk::Outcome;

    use super::*;
    use crate::tests::{candidates, consistent};

    const EACH: NonZeroU32 = NonZeroU32::new(160).unwrap();
    const BOUND: Bound = Bound(1_250);

    fn ring(candidates: &[Candidate]) -> Ring {
        let mut ring = Ring::default();
        assert!(ring.follow(1, candidates, EACH));
        assert!(!ring.follow(1, candidates, EACH) && !ring.follow(2, candidates, EACH));
        ring
    }

    /// Where 20,000 numbers go, by the key of the endpoint.
    fn homes(candidates: &[Candidate]) -> Vec<u64> {
        let ring = ring(candidates);
        let available = Available::among(candidates).unwrap();
        (0..20_000).map(|number| candidates[ring.pick(mix(number), &available, BOUND)].key).collect()
    }

    #[test]
    fn when_one_leaves_nobody_elses_move() {
        let all = candidates(&[1; 20]);
        let before = homes(&all);
        let left: Vec<_> = all.iter().copied().filter(|candidate| candidate.key != all[7].key).collect();
        let after = homes(&left);
        assert!(before.iter().zip(&after).all(|(before, after)| before == after || *before == all[7].key));
    }

    #[test]
    fn an_endpoint_that_fails_loses_its_own_and_gets_them_back() {
        consistent::one_that_fails_loses_its_own_alone_and_gets_them_back(homes);
    }

    #[test]
    fn one_that_is_full_hands_on_to_the_next_and_always_to_the_same() {
        let mut all = candidates(&[1; 5]);
        let ring = ring(&all);
        let pick = |all: &[Candidate]| ring.pick(42, &Available::among(all).unwrap(), BOUND);
        let home = pick(&all);
        // One of five: with 6 and its own, 1.25 × 7 / 5 is 1.75, rounded up.
        all.iter_mut().for_each(|candidate| candidate.in_flight = 1);
        all[home].in_flight = 2;
        let next = pick(&all);
        assert_ne!(home, next);
        assert_eq!(pick(&all), next);
        all[home].in_flight = 1;
        assert_eq!(pick(&all), home);
        all[home].outcome = Outcome::Reset;
        assert_eq!(pick(&all), next, "a retry goes to the next as well");
    }

    #[test]
    fn a_newcomer_takes_its_slow_start_share_of_its_own() {
        consistent::a_newcomer_takes_its_slow_start_share_of_its_own(homes);
    }

    #[test]
    fn a_ring_is_never_too_large_and_everyone_is_on_it() {
        let mut weights = vec![1; 1_000];
        weights[0] = 65_535;
        for candidates in [candidates(&weights), candidates(&[1; 10_000])] {
            let ring = ring(&candidates);
            assert!(ring.points.len() <= 65_536 + candidates.len(), "{}", ring.points.len());
            let on: std::collections::BTreeSet<_> = ring.points.iter().map(|point| point.member).collect();
            assert_eq!(on.len(), candidates.len());
        }
    }

    #[test]
    fn the_order_of_the_candidates_does_not_matter() {
        consistent::the_order_of_the_candidates_does_not_matter(homes);
    }

    #[test]
    fn whoever_is_available_is_found() {
        consistent::whoever_is_available_is_found(|all, available, number| ring(all).pick(number, available, BOUND));
    }
}
