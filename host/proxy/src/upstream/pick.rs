//! The host's own choice, where no balancer makes one: of two at random, or a few more, the one that is likely to answer first.
//!
//! Two are drawn by weight, and up to two more while the best of them has requests under way: where endpoints do one thing at a time, two
//! are often both busy while others have nothing to do. They (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001) are compared by
//! what a request costs them: their latency, a peak-sensitive average, times the requests that they would have under way.
//! Those are counted for an endpoint's share of the weight, so that what is drawn and what is compared have the same aim.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use palisade_contract::{Candidate, Health, Name, Outcome};

use crate::upstream::levels::sufficiency;

/// One worker's generator: SplitMix64 from a random seed. Not for secrets.
#[derive(Debug)]
pub(crate) struct Random(Cell<u64>);

impl Random {
    pub(crate) fn new() -> Self {
        Self(Cell::new(RandomState::new().hash_one(0_u8)))
    }

    /// A number below this one, which is not zero.
    pub(crate) fn below(&self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// Any number.
    pub(crate) fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The index of the chosen candidate; none where none is healthy. What was tried is chosen again only where nothing else is
/// healthy. `zone` is where the host stands: endpoints there come first, as far as they are enough.
pub(crate) fn pick(candidates: &[Candidate], zone: Name, random: &Random) -> Option<usize> {
    let fresh = Eligible { candidates, tried: false, zone: Within::Anywhere };
    let eligible = if fresh.is_empty() { Eligible { tried: true, ..fresh } } else { fresh };
    let eligible = eligible.near(zone, random);
    let (total, count) = eligible.total();
    let (mean, mut left) = (float(total) / float(count), total);
    let mut drawn = [0; DRAWS_MAX];
    let mut best: Option<(usize, &Candidate, f64)> = None;
    for number in 0..DRAWS_MAX {
        if number >= DRAWS && best.is_some_and(|(_, candidate, _)| candidate.in_flight == 0) {
            break;
        }
        let (before, after) = drawn.split_at_mut(number);
        let Some((index, candidate)) = eligible.draw(random.below(left), before) else { break };
        after.iter_mut().take(1).for_each(|place| *place = index);
        left -= share(candidate);
        let cost = cost(candidate, mean);
        if best.is_none_or(|(_, _, least)| cost < least) {
            best = Some((index, candidate, cost));
        }
    }
    best.map(|(index, ..)| index)
}

/// How many are drawn, and at most.
const DRAWS: usize = 2;
const DRAWS_MAX: usize = 4;

/// The host's own choice, for whoever measures it.
#[derive(Debug)]
pub struct OwnChoice(Random);

impl OwnChoice {
    /// One that begins anywhere.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "no two are alike")]
    pub fn new() -> Self {
        Self(Random::new())
    }

    /// The index of the chosen candidate, for a host that stands in no zone; none where none is healthy.
    #[must_use]
    pub fn pick(&self, candidates: &[Candidate]) -> Option<usize> {
        pick(candidates, Name::NONE, &self.0)
    }
}

/// What a further request costs: the time that it is likely to take, for an endpoint of mean weight.
///
/// One that nothing is known of is cheap as long as it has nothing to do, so that it is soon known, and dear until it has answered:
/// so many requests do not pile up at a newcomer that hangs.
fn cost(of: &Candidate, mean_share: f64) -> f64 {
    let load = f64::from(of.in_flight) * mean_share / float(share(of)) + 1.0;
    match (of.latency_micros, of.in_flight) {
        (0, 0) => 0.0,
        (0, _) => UNKNOWN_MICROS * load,
        (latency, _) => f64::from(latency) * load,
    }
}

/// More than any latency that is known, whatever the load.
const UNKNOWN_MICROS: f64 = 1e18;

/// A candidate's part of the work: its weight in thousandths, of which a newcomer takes less. At least one.
fn share(candidate: &Candidate) -> u64 {
    (u64::from(candidate.weight) * u64::from(candidate.slow_start_permille.min(1_000))).max(1)
}

#[expect(clippy::cast_precision_loss, reason = "weights and counts are far below 2^53")]
fn float(number: u64) -> f64 {
    number as f64
}

/// The candidates that may be chosen.
#[derive(Clone, Copy)]
struct Eligible<'a> {
    candidates: &'a [Candidate],
    /// Also those that were tried.
    tried: bool,
    zone: Within,
}

/// Which zones.
#[derive(Clone, Copy)]
enum Within {
    Anywhere,
    Only(Name),
    Except(Name),
}

impl<'a> Eligible<'a> {
    fn iter(self) -> impl Iterator<Item = (usize, &'a Candidate)> {
        let wanted = move |candidate: &Candidate| {
            candidate.health == Health::Healthy && (self.tried || candidate.outcome == Outcome::Untried)
        };
        let here = move |candidate: &Candidate| match self.zone {
            Within::Anywhere => true,
            Within::Only(zone) => candidate.zone == zone,
            Within::Except(zone) => candidate.zone != zone,
        };
        self.candidates.iter().enumerate().filter(move |(_, candidate)| wanted(candidate) && here(candidate))
    }

    fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }

    /// Those of the own zone, as often as it has enough that is healthy, and else those of the others.
    fn near(self, zone: Name, random: &Random) -> Self {
        if zone == Name::NONE {
            return self;
        }
        let weight = |candidate: &Candidate| u64::from(candidate.weight);
        let own = self.candidates.iter().filter(|one| one.zone == zone && one.health != Health::Reserve);
        let total: u64 = own.map(weight).sum();
        let only = Self { zone: Within::Only(zone), ..self };
        let healthy: u64 = only.iter().map(|(_, candidate)| weight(candidate)).sum();
        let except = Self { zone: Within::Except(zone), ..self };
        let is_near = random.below(1_000) < sufficiency(healthy, total);
        match (is_near, healthy > 0 && except.is_empty()) {
            (true, _) | (_, true) => only,
            (false, false) => except,
        }
    }

    /// All shares together, and of how many.
    fn total(self) -> (u64, u64) {
        self.iter().fold((0, 0), |(total, count), (_, candidate)| (total + share(candidate), count + 1))
    }

    /// The one at this place of all shares in a row, without those that are left out.
    fn draw(self, place: u64, except: &[usize]) -> Option<(usize, &'a Candidate)> {
        let mut left = place;
        self.iter().filter(|(index, _)| !except.contains(index)).find(|(_, candidate)| {
            let rest = left.checked_sub(share(candidate));
            left = rest.unwrap_or(left);
            rest.is_none()
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A healthy one.
    pub(in crate::upstream) fn candidate(in_flight: u32, weight: u32) -> Candidate {
        Candidate {
            endpoint: Name(1),
            key: 1,
            weight,
            zone: Name::NONE,
            priority: 0,
            health: Health::Healthy,
            outcome: Outcome::Untried,
            in_flight,
            latency_micros: 1_000,
            failures: 0,
            slow_start_permille: 1000,
        }
    }

    /// How often each is picked of so many times.
    fn shares(candidates: &[Candidate], zone: Name, times: u32) -> Vec<u32> {
        let random = Random(Cell::new(1));
        let mut counts = vec![0; candidates.len()];
        for _ in 0..times {
            if let Some(count) = pick(candidates, zone, &random).and_then(|index| counts.get_mut(index)) {
                *count += 1;
            }
        }
        counts
    }

    #[track_caller]
    fn check(candidates: &[Candidate], expected: &[u32]) {
        let counts = shares(candidates, Name::NONE, 100_000);
        let total: u32 = expected.iter().sum();
        for (count, share) in counts.iter().zip(expected) {
            let expected = 100_000 * share / total;
            assert!(count.abs_diff(expected) <= expected / 50, "{counts:?}");
        }
    }

    #[test]
    fn the_one_that_is_likely_to_answer_first_is_picked() {
        let of = |in_flight, latency_micros| Candidate { latency_micros, ..candidate(in_flight, 1) };
        check(&[candidate(5, 1), candidate(1, 1)], &[0, 1]);
        check(&[of(9, 100), of(0, 1_100)], &[1, 0]);
        check(&[of(9, 100), of(0, 900)], &[0, 1]);
        check(&[candidate(9, 10), candidate(1, 1)], &[1, 0]);
        let tried = Candidate { outcome: Outcome::ConnectFailed, ..candidate(0, 1) };
        check(&[tried, candidate(9, 1)], &[0, 1]);
    }

    #[test]
    fn one_that_has_nothing_to_do_is_found_among_those_that_have() {
        let (busy, idle) = (candidate(1, 1), candidate(0, 1));
        check(&[busy, busy, busy, idle], &[0, 0, 0, 1]);
        // Four are drawn of eight: half of the requests find it.
        check(&[busy, busy, busy, busy, busy, busy, busy, idle], &[1, 1, 1, 1, 1, 1, 1, 7]);
    }

    #[test]
    fn equals_share_by_weight_and_newcomers_by_their_part_of_it() {
        check(&[candidate(0, 1); 4], &[1, 1, 1, 1]);
        check(&[candidate(0, 4), candidate(0, 1)], &[4, 1]);
        check(&[candidate(0, 1), Candidate { slow_start_permille: 100, ..candidate(0, 1) }], &[10, 1]);
    }

    #[test]
    fn what_is_unknown_is_tried_once_and_then_waited_for() {
        let unknown = |in_flight| Candidate { latency_micros: 0, ..candidate(in_flight, 1) };
        check(&[candidate(0, 1), unknown(0)], &[0, 1]);
        check(&[candidate(5_000, 1), unknown(1)], &[1, 0]);
        check(&[unknown(3), unknown(2)], &[0, 1]);
    }

    #[test]
    fn in_a_fleet_with_a_slow_one_it_is_near_the_best_possible_choice() {
        for (servers, seed) in [(8, 1), (8, 2), (1, 1), (1, 2)] {
            let fleet = fleet::Fleet { servers, seed, requests: 30_000, ..fleet::Fleet::default() };
            let random = Random(Cell::new(seed));
            let mut candidates = vec![candidate(0, 1); fleet.endpoints];
            let own = fleet.ask(&mut |seen: &[fleet::Seen]| {
                for (candidate, seen) in candidates.iter_mut().zip(seen) {
                    (candidate.in_flight, candidate.latency_micros) = (seen.in_flight, seen.latency_micros);
                }
                pick(&candidates, Name::NONE, &random).unwrap_or(usize::MAX)
            });
            let best = fleet.ask(&mut fleet::least_completion());
            let ratio = own.percentile(99) / best.percentile(99);
            assert!((0.99..=1.3).contains(&ratio), "{ratio}");
        }
    }

    #[test]
    fn none_is_picked_of_none_nor_of_those_that_are_not_healthy() {
        let random = Random::new();
        let of = |health| Candidate { health, ..candidate(0, 1) };
        assert_eq!(pick(&[], Name::NONE, &random), None);
        for health in [Health::Unhealthy, Health::Draining, Health::Reserve] {
            assert_eq!(pick(&[of(health), of(health)], Name::NONE, &random), None);
            assert_eq!(pick(&[of(health), candidate(9, 1)], Name::NONE, &random), Some(1));
        }
        let tried = Candidate { outcome: Outcome::Reset, ..candidate(0, 1) };
        assert_eq!(pick(&[tried], Name::NONE, &random), Some(0), "a tried one is better than none");
    }

    #[test]
    fn the_own_zone_comes_first_as_far_as_it_is_enough() {
        let (own, other) = (Name(7), Name(8));
        let of = |zone, health| Candidate { zone, health, ..candidate(0, 1) };
        let (here, sick, there) = (of(own, Health::Healthy), of(own, Health::Unhealthy), of(other, Health::Healthy));
        assert_eq!(shares(&[here, here, there], own, 1_000).last(), Some(&0));
        assert_eq!(shares(&[sick, sick, there], own, 1_000), [0, 0, 1_000]);
        assert_eq!(shares(&[there, there], own, 1_000).iter().sum::<u32>(), 1_000, "a zone without endpoints");
        assert_eq!(shares(&[here, sick], own, 1_000), [1_000, 0], "no other zone");
        // One of two is healthy: 0.5 × 1.4 of the requests stay.
        let spilt = shares(&[here, sick, there], own, 100_000);
        assert!(spilt.first().is_some_and(|near| near.abs_diff(70_000) < 1_400), "{spilt:?}");
    }
}
