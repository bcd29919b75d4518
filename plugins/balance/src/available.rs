//! All candidates, in; those that may be picked, out.

use palisade_sdk::{Candidate, Health, Name, Outcome};

/// The candidates that are healthy and were not tried in this exchange; those that were tried, where no other is healthy.
/// There is at least one.
///
/// What is unhealthy, drained or a reserve is never among them: whether so few are left that anything is better than
/// nothing is for the host to say, and it says so by calling them healthy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Available<'a> {
    candidates: &'a [Candidate],
    were_tried: bool,
    within: Within,
}

/// Which zones' candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Anywhere,
    Only(Name),
    Except(Name),
}

impl<'a> Available<'a> {
    /// None where no candidate is healthy.
    pub(crate) fn among(candidates: &'a [Candidate]) -> Option<Self> {
        let fresh = Self { candidates, were_tried: false, within: Within::Anywhere };
        let tried = Self { were_tried: true, ..fresh };
        [fresh, tried].into_iter().find(|available| available.iter().next().is_some())
    }

    /// Those of the own zone, as long as enough of it is healthy, and else, for what is missing, those of the other zones. The
    /// coin is a number below 1000; one that is below [`sufficiency`] stays.
    pub(crate) fn near(self, own: Option<Name>, coin: impl FnOnce() -> u64) -> Self {
        let Some(zone) = own else { return self };
        let only = Self { within: Within::Only(zone), ..self };
        let except = Self { within: Within::Except(zone), ..self };
        let weight = |candidate: &Candidate| u64::from(candidate.weight);
        let there = self.candidates.iter().filter(|one| one.zone == zone && one.health != Health::Reserve);
        let (total, healthy) = (there.map(weight).sum(), only.iter().map(|(_, one)| weight(one)).sum());
        let enough = sufficiency(healthy, total);
        if enough == 0 {
            return if except.iter().next().is_some() { except } else { self };
        }
        if enough >= 1000 || coin() < enough || except.iter().next().is_none() { only } else { except }
    }

    /// All candidates, available or not.
    pub(crate) fn all(&self) -> &'a [Candidate] {
        self.candidates
    }

    /// Each with its index among all.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &'a Candidate)> + use<'a> {
        let available = *self;
        self.candidates.iter().enumerate().filter(move |(_, candidate)| available.has(candidate))
    }

    /// The candidate of this index, if it is available.
    pub(crate) fn get(&self, index: usize) -> Option<&'a Candidate> {
        self.candidates.get(index).filter(|candidate| self.has(candidate))
    }

    /// Whether all that are healthy were tried in this very exchange.
    pub(crate) fn were_tried(&self) -> bool {
        self.were_tried
    }

    fn has(&self, candidate: &Candidate) -> bool {
        let is_near = match self.within {
            Within::Anywhere => true,
            Within::Only(zone) => candidate.zone == zone,
            Within::Except(zone) => candidate.zone != zone,
        };
        is_near && candidate.health == Health::Healthy && (self.were_tried || candidate.outcome == Outcome::Untried)
    }
}

/// How much of what a zone is for it can do, in thousandths: its healthy share of the weight counts 1.4 times, so that five of
/// seven are enough. The factor is Envoy's overprovisioning, and the one that the host has for levels.
pub(crate) fn sufficiency(healthy: u64, total: u64) -> u64 {
    (healthy * 1_400).checked_div(total).unwrap_or(0).min(1_000)
}

/// A candidate's share of the work, in thousandths of its weight; at least one, so that no candidate is starved.
pub(crate) fn share(candidate: &Candidate) -> u64 {
    let permille = u64::from(candidate.slow_start_permille.min(1000));
    (u64::from(candidate.weight) * permille).max(1)
}

/// All shares together, and of how many candidates.
pub(crate) fn shares(available: &Available<'_>) -> (u64, u64) {
    available.iter().fold((0, 0), |(sum, count), (_, candidate)| (sum + share(candidate), count + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::candidates;

    fn of(states: &[(Health, Outcome)]) -> Vec<Candidate> {
        let mut candidates = candidates(&vec![1; states.len()]);
        for (candidate, (health, outcome)) in candidates.iter_mut().zip(states) {
            (candidate.health, candidate.outcome) = (*health, *outcome);
        }
        candidates
    }

    fn indexes(available: &Available<'_>) -> Vec<usize> {
        available.iter().map(|(index, _)| index).collect()
    }

    #[track_caller]
    fn check(states: &[(Health, Outcome)], expected: &[usize], were_tried: bool) {
        let candidates = of(states);
        let available = Available::among(&candidates).unwrap();
        assert_eq!(indexes(&available), expected);
        assert_eq!((0..states.len()).filter(|index| available.get(*index).is_some()).collect::<Vec<_>>(), expected);
        assert_eq!(available.were_tried(), were_tried);
    }

    #[test]
    fn what_is_healthy_is_available_and_what_was_tried_only_in_want_of_others() {
        use Health::{Draining, Healthy, Reserve, Unhealthy};
        use Outcome::{ConnectFailed, Reset, Untried};
        check(&[(Healthy, Untried), (Unhealthy, Untried), (Healthy, Reset), (Healthy, Untried)], &[0, 3], false);
        check(&[(Draining, Untried), (Unhealthy, Untried), (Reserve, Untried), (Healthy, Reset)], &[3], true);
        check(&[(Healthy, ConnectFailed), (Healthy, Reset)], &[0, 1], true);
    }

    #[test]
    fn where_nothing_is_healthy_nothing_is_available() {
        assert!(Available::among(&[]).is_none());
        for health in [Health::Draining, Health::Unhealthy, Health::Reserve] {
            assert!(Available::among(&of(&[(health, Outcome::Untried), (health, Outcome::Reset)])).is_none());
        }
    }

    /// Two zones, two endpoints each but for the third zone, which has one.
    fn zones(healthy: [bool; 5]) -> Vec<Candidate> {
        let mut candidates = candidates(&[1; 5]);
        for ((candidate, zone), healthy) in candidates.iter_mut().zip([7, 7, 8, 8, 9]).zip(healthy) {
            candidate.zone = Name::from_number(zone);
            candidate.health = if healthy { Health::Healthy } else { Health::Unhealthy };
        }
        candidates
    }

    #[test]
    fn the_own_zone_is_preferred_as_far_as_it_is_enough() {
        let check = |healthy, own: u32, coin: u64, expected: &[usize]| {
            let candidates = zones(healthy);
            let near = Available::among(&candidates).unwrap().near(Some(Name::from_number(own)), || coin);
            assert_eq!(indexes(&near), expected, "{healthy:?} {own} {coin}");
        };
        check([true; 5], 7, 999, &[0, 1]);
        check([true; 5], 9, 999, &[4]);
        check([true; 5], 5, 999, &[0, 1, 2, 3, 4]);
        // One of two: 700 of 1000 requests stay.
        check([true, false, true, true, true], 7, 699, &[0]);
        check([true, false, true, true, true], 7, 700, &[2, 3, 4]);
        check([false, false, true, false, true], 7, 0, &[2, 4]);
        check([true, false, false, false, false], 7, 999, &[0]);
    }
}
