//! Smooth weighted round robin, as nginx does it: with weights 5, 1, 1 the order is a a b a c a a, not five times a.

use palisade_sdk::Candidate;

use crate::available::{Available, share};

/// Whose turn it is, for one upstream.
///
/// At each pick every available candidate earns its share; the one that has most is picked and pays what all of them
/// earned. One pass over the candidates; memory is asked for only when their list changes.
#[derive(Debug, Default)]
pub(crate) struct RoundRobin {
    credits: Vec<Credit>,
}

#[derive(Debug, Clone, Copy)]
struct Credit {
    key: u64,
    amount: i64,
}

impl RoundRobin {
    /// The index of the candidate whose turn it is.
    pub(crate) fn pick(&mut self, available: &Available<'_>) -> usize {
        self.follow(available.all());
        let mut total = 0;
        let mut best = None;
        for (index, candidate) in available.iter() {
            let Some(credit) = self.credits.get_mut(index) else { break };
            let share = i64::try_from(share(candidate)).unwrap_or(i64::MAX);
            total += share;
            credit.amount += share;
            if best.is_none_or(|(_, amount)| credit.amount > amount) {
                best = Some((index, credit.amount));
            }
        }
        let best = best.map_or(0, |(index, _)| index);
        if let Some(credit) = self.credits.get_mut(best) {
            credit.amount -= total;
        }
        best
    }

    /// Keeps the credit of every candidate that is still there, wherever it moved.
    fn follow(&mut self, candidates: &[Candidate]) {
        let same = |(credit, candidate): (&Credit, &Candidate)| credit.key == candidate.key;
        if self.credits.len() == candidates.len() && self.credits.iter().zip(candidates).all(same) {
            return;
        }
        let mut before = std::mem::take(&mut self.credits);
        before.sort_unstable_by_key(|credit| credit.key);
        let amount = |key: u64| {
            let found = before.binary_search_by_key(&key, |credit| credit.key).ok();
            found.and_then(|index| before.get(index)).map_or(0, |credit| credit.amount)
        };
        self.credits =
            candidates.iter().map(|candidate| Credit { key: candidate.key, amount: amount(candidate.key) }).collect();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::candidates;

    fn picks(state: &mut RoundRobin, candidates: &[Candidate], count: usize) -> Vec<usize> {
        let available = Available::among(candidates).unwrap();
        (0..count).map(|_| state.pick(&available)).collect()
    }

    #[track_caller]
    fn check(weights: &[u32], expected: &[usize]) {
        assert_eq!(picks(&mut RoundRobin::default(), &candidates(weights), expected.len()), expected, "{weights:?}");
    }

    #[test]
    fn turns_are_spread_out() {
        check(&[5, 1, 1], &[0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0]);
        check(&[1, 1, 1], &[0, 1, 2, 0, 1, 2]);
        check(&[7], &[0, 0]);
        check(&[1, 1, 8], &[2, 2, 2, 0, 2, 2, 1, 2, 2, 2]);
    }

    #[test]
    fn a_newcomer_takes_its_slow_start_share() {
        let mut two = candidates(&[3, 3]);
        two[1].slow_start_permille = 200;
        let picks = picks(&mut RoundRobin::default(), &two, 60);
        assert_eq!(picks.iter().filter(|index| **index == 1).count(), 10);
    }

    #[test]
    fn credits_survive_a_change_of_the_list() {
        let all = candidates(&[1, 1, 1, 1]);
        let mut state = RoundRobin::default();
        assert_eq!(picks(&mut state, &all, 2), [0, 1]);
        // The third leaves and the order changes: the fourth and the first have waited longest, in this order.
        let changed = [all[1], all[3], all[0]];
        assert_eq!(picks(&mut state, &changed, 1), [1]);
        assert_eq!(state.credits.iter().map(|credit| credit.key).collect::<Vec<_>>(), changed.map(|one| one.key));
    }

    proptest! {
        #[test]
        fn over_one_round_each_gets_exactly_its_weight(weights in prop::collection::vec(1..20_u32, 1..12)) {
            let candidates = candidates(&weights);
            let round: u32 = weights.iter().sum();
            let mut state = RoundRobin::default();
            for _ in 0..3 {
                let picks = picks(&mut state, &candidates, usize::try_from(round).unwrap());
                for (index, weight) in weights.iter().enumerate() {
                    let count = picks.iter().filter(|pick| **pick == index).count();
                    prop_assert_eq!(count, usize::try_from(*weight).unwrap());
                }
            }
        }

        #[test]
        fn nobody_is_ever_a_whole_turn_ahead_of_its_weight(weights in prop::collection::vec(1..20_u32, 1..12)) {
            // Only a candidate whose credit is the largest is picked, and credits add up to the round when one is: so each
            // stays above minus one round, which is what being a turn ahead means.
            let candidates = candidates(&weights);
            let round: u32 = weights.iter().sum();
            let picks = picks(&mut RoundRobin::default(), &candidates, usize::try_from(round * 2).unwrap());
            for (index, weight) in weights.iter().enumerate() {
                let mut turns = 0;
                for (place, pick) in (1_u32..).zip(&picks) {
                    turns += u32::from(*pick == index);
                    prop_assert!(turns * round < place * weight + round, "{picks:?}");
                }
            }
        }
    }
}
