//! Maglev: a number for a request, in; the endpoint that it belongs to, out, the same one on every host.
//!
//! After Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4, with
//! weights.

use std::{cmp::Reverse, collections::BinaryHeap};

use palisade_sdk::Candidate;

use crate::{
    available::Available,
    generator::mix,
    hash::takes,
    members::{Member, Members},
};

/// Which endpoint each slot belongs to, for one upstream.
///
/// It depends on the endpoints' keys and weights alone, not on their order nor their health, so that all hosts agree
/// and an endpoint that fails for a while gets its own requests back. A slot whose endpoint is not available hands its
/// requests to the next slot's: as slots are scattered, they spread over all others by weight.
#[derive(Debug, Default)]
pub(crate) struct Table {
    members: Members,
    slots: Vec<u16>,
}

impl Table {
    /// Makes the table follow the candidates. True where it had to be built, with so many slots, which is a prime.
    pub(crate) fn follow(&mut self, version: u64, candidates: &[Candidate], size: usize) -> bool {
        let is_new = self.members.change(version, candidates);
        if is_new {
            self.slots = deal(self.members.all(), size);
        }
        is_new
    }

    /// The index of the candidate that the number belongs to.
    ///
    /// A newcomer takes only its slow-start share of the numbers that are its own, always the same ones.
    pub(crate) fn pick(&self, number: u64, available: &Available<'_>) -> usize {
        let start = position(number, self.slots.len());
        let (before, after) = self.slots.split_at_checked(start).unwrap_or_default();
        let indexes = after.iter().chain(before).map(|slot| usize::from(*slot));
        let mut there = indexes.filter_map(|index| Some((index, available.get(index)?)));
        let Some(first) = there.next() else { return available.iter().next().map_or(0, |(index, _)| index) };
        let mut tries = std::iter::once(first).chain(there.take(NEWCOMERS_PASSED_MAX));
        tries.find(|(_, candidate)| takes(candidate, number)).map_or(first.0, |(index, _)| index)
    }
}

/// How many slots of newcomers are passed by before the first of them takes the request after all.
const NEWCOMERS_PASSED_MAX: usize = 64;

/// Deals the slots: each member in turn takes the next free slot of its own permutation of all slots. Turns come as
/// often as weights say, and everyone has one before anyone has a second.
///
/// O(size × log size) for the permutations and O(size × log members) for the turns: a few milliseconds for 65,537
/// slots.
fn deal(members: &[Member], size: usize) -> Vec<u16> {
    let mut slots = vec![FREE; size];
    let hands = members.iter().zip(0..FREE).map(|(member, index)| Hand::new(*member, index, size));
    let mut hands: Vec<_> = hands.collect();
    // By key: the order in which the host lists them must not matter.
    hands.sort_unstable_by_key(|hand| hand.member.key);
    let mut turns: BinaryHeap<_> = (0..hands.len()).map(|hand| Reverse((0, hand))).collect();
    for _ in 0..size {
        let Some(Reverse((due, number))) = turns.pop() else { break };
        let Some(hand) = hands.get_mut(number) else { break };
        hand.take_one(&mut slots);
        turns.push(Reverse((due + TURN / u64::from(hand.member.weight), number)));
    }
    slots
}

/// A slot that nobody has taken yet; and so, how many members a table can tell apart.
const FREE: u16 = u16::MAX;

/// The time between two turns of a member of weight 1.
const TURN: u64 = 1 << 32;

/// A member that takes slots: the next one in its permutation is `skip` after the last.
struct Hand {
    member: Member,
    index: u16,
    next: usize,
    skip: usize,
}

impl Hand {
    fn new(member: Member, index: u16, size: usize) -> Self {
        let next = position(mix(member.key), size);
        let skip = position(mix(member.key ^ SECOND), size.saturating_sub(1)) + 1;
        Self { member, index, next, skip }
    }

    /// Takes the next slot that is free, if any is.
    fn take_one(&mut self, slots: &mut [u16]) {
        for _ in 0..slots.len() {
            let at = self.next;
            self.next += self.skip;
            if self.next >= slots.len() {
                self.next -= slots.len();
            }
            if let Some(slot) = slots.get_mut(at).filter(|slot| **slot == FREE) {
                *slot = self.index;
                return;
            }
        }
    }
}

/// Makes a second hash of a key.
const SECOND: u64 = 0x2545_f491_4f6c_dd1d;

/// A number as a position among so many.
fn position(number: u64, size: usize) -> usize {
    let size = u64::try_from(size).unwrap_or(u64::MAX).max(1);
    usize::try_from(number % size).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use palisade_sdk::{Health, Outcome};

    use super::*;
    use crate::tests::{assert_shares, candidates, consistent};

    const SIZE: usize = 65_537;

    fn table(candidates: &[Candidate], size: usize) -> Table {
        let mut table = Table::default();
        assert!(table.follow(1, candidates, size));
        table
    }

    /// Where 20,000 numbers go, by the key of the endpoint.
    fn homes(candidates: &[Candidate]) -> Vec<u64> {
        let table = table(candidates, SIZE);
        let available = Available::among(candidates).unwrap();
        (0..20_000).map(|number| candidates[table.pick(mix(number), &available)].key).collect()
    }

    #[test]
    fn slots_are_dealt_by_weight() {
        for weights in [&[1, 1, 1][..], &[1, 2, 5], &[100, 1, 50, 49], &[1; 50]] {
            let table = table(&candidates(weights), SIZE);
            let mut slots = table.slots.iter().map(|slot| usize::from(*slot));
            assert_shares(SIZE, weights, || slots.next().unwrap());
        }
    }

    #[test]
    fn everyone_has_a_slot_however_light() {
        let mut weights = vec![1_000_000];
        weights.resize(1000, 1);
        let table = table(&candidates(&weights), SIZE);
        assert!((0..1000).all(|index| table.slots.contains(&index)));
    }

    #[test]
    fn when_one_of_twenty_leaves_at_most_two_percent_move_needlessly() {
        let all = candidates(&[1; 20]);
        let before = homes(&all);
        for leaving in [0, 7, 19] {
            let left: Vec<_> = all.iter().copied().filter(|candidate| candidate.key != all[leaving].key).collect();
            let after = homes(&left);
            let moved =
                before.iter().zip(&after).filter(|(before, after)| before != after && **before != all[leaving].key);
            let moved = moved.count();
            assert!(moved <= before.len() / 50, "{moved} of {}", before.len());
        }
    }

    #[test]
    fn an_endpoint_that_fails_loses_its_own_and_gets_them_back() {
        consistent::one_that_fails_loses_its_own_alone_and_gets_them_back(homes);
    }

    #[test]
    fn the_requests_of_one_that_fails_spread_evenly() {
        let mut all = candidates(&[1; 20]);
        let before = homes(&all);
        all[7].health = Health::Unhealthy;
        let after = homes(&all);
        let moved: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
        let fullest = all.iter().map(|one| moved.iter().filter(|(_, after)| **after == one.key).count()).max().unwrap();
        assert!(fullest < moved.len() / 19 * 2, "{fullest} of {}", moved.len());
    }

    #[test]
    fn a_retry_goes_elsewhere_and_always_to_the_same_place() {
        let mut all = candidates(&[1; 5]);
        let table = table(&all, SIZE);
        let first = table.pick(42, &Available::among(&all).unwrap());
        all[first].outcome = Outcome::ConnectFailed;
        let second = table.pick(42, &Available::among(&all).unwrap());
        assert_ne!(first, second);
        assert_eq!(table.pick(42, &Available::among(&all).unwrap()), second);
    }

    #[test]
    fn a_newcomer_takes_its_slow_start_share_of_its_own() {
        consistent::a_newcomer_takes_its_slow_start_share_of_its_own(homes);
    }

    #[test]
    fn a_newcomer_alone_takes_all() {
        let mut alone = candidates(&[1]);
        alone[0].slow_start_permille = 0;
        assert!(homes(&alone).iter().all(|key| *key == alone[0].key));
    }

    #[test]
    fn the_order_of_the_candidates_does_not_matter() {
        consistent::the_order_of_the_candidates_does_not_matter(homes);
    }

    #[test]
    fn whoever_is_available_is_found() {
        consistent::whoever_is_available_is_found(|all, available, number| table(all, 251).pick(number, available));
    }
}
