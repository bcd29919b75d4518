//! The host's own choice, where no balancer makes one: of two at random, the less loaded for its weight
//! (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001).

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use palisade_contract::{Candidate, Health, Outcome};

/// One worker's generator: SplitMix64 from a random seed. Not for secrets.
#[derive(Debug)]
pub(crate) struct Random(Cell<u64>);

impl Random {
    pub(crate) fn new() -> Self {
        Self(Cell::new(RandomState::new().hash_one(0_u8)))
    }

    /// A number below this one, which is not zero.
    fn below(&self, limit: usize) -> usize {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(limit.max(1)).unwrap_or(1)).unwrap_or_default()
    }
}

/// The index of the chosen candidate; none where none is healthy.
pub(crate) fn pick(candidates: &[Candidate], random: &Random) -> Option<usize> {
    // Best one that was not tried, else any that is healthy. Where none is, no request waits for what would not answer.
    let wants: [fn(&Candidate) -> bool; 2] = [
        |candidate| candidate.health == Health::Healthy && candidate.outcome == Outcome::Untried,
        |candidate| candidate.health == Health::Healthy,
    ];
    wants.into_iter().find_map(|wanted| pick_of(candidates, wanted, random))
}

fn pick_of(candidates: &[Candidate], wanted: fn(&Candidate) -> bool, random: &Random) -> Option<usize> {
    let nth = |nth: usize| candidates.iter().enumerate().filter(|(_, candidate)| wanted(candidate)).nth(nth);
    let count = candidates.iter().filter(|candidate| wanted(candidate)).count();
    if count == 0 {
        return None;
    }
    let first = random.below(count);
    if count == 1 {
        return nth(first).map(|(index, _)| index);
    }
    // Another one than the first: the places after it move up by one.
    let second = random.below(count - 1);
    let second = second + usize::from(second >= first);
    let ((a, one), (b, two)) = (nth(first)?, nth(second)?);
    Some(if load(one, two) <= load(two, one) { a } else { b })
}

/// Load for its weight, as a fraction's numerator over the product of both weights.
fn load(of: &Candidate, other: &Candidate) -> u64 {
    (u64::from(of.in_flight) + 1) * u64::from(other.weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use palisade_contract::Name;

    fn candidate(in_flight: u32, weight: u32, outcome: Outcome) -> Candidate {
        Candidate {
            endpoint: Name(1),
            key: 1,
            weight,
            zone: Name::NONE,
            health: Health::Healthy,
            outcome,
            in_flight,
            latency_micros: 0,
            failures: 0,
            slow_start_permille: 1000,
        }
    }

    #[test]
    fn the_less_loaded_for_its_weight_is_picked() {
        let random = Random::new();
        let untried = Outcome::Untried;
        for (candidates, expected) in [
            (vec![candidate(5, 1, untried), candidate(1, 1, untried)], 1),
            (vec![candidate(5, 10, untried), candidate(1, 1, untried)], 0),
            (vec![candidate(0, 1, Outcome::ConnectFailed), candidate(9, 1, untried)], 1),
        ] {
            for _ in 0..100 {
                assert_eq!(pick(&candidates, &random), Some(expected));
            }
        }
    }

    #[test]
    fn none_is_picked_of_none_and_a_tried_one_is_better_than_none() {
        let random = Random::new();
        assert_eq!(pick(&[], &random), None);
        for health in [Health::Unhealthy, Health::Draining] {
            assert_eq!(pick(&[Candidate { health, ..candidate(0, 1, Outcome::Untried) }], &random), None);
        }
        assert_eq!(pick(&[candidate(0, 1, Outcome::Reset)], &random), Some(0));
    }

    #[test]
    fn equals_share_alike() {
        let random = Random::new();
        let candidates = [candidate(0, 1, Outcome::Untried); 4];
        let mut counts = [0_u32; 4];
        for _ in 0..40_000 {
            counts[pick(&candidates, &random).expect("one of four")] += 1;
        }
        assert!(counts.iter().all(|count| (9_000..11_000).contains(count)), "{counts:?}");
    }
}
