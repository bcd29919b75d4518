//! All candidates, in; those that may be picked, out: the best that there are.

use palisade_sdk::{Candidate, Health, Outcome};

/// The candidates of the best standing that any of them has. There is at least one.
///
/// Healthy ones that were not tried yet come first, then healthy ones that were, then those that are being drained, and
/// unhealthy ones only when there is nothing else: a health check may be wrong, and an answer from a doubtful endpoint
/// is better than none for certain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Available<'a> {
    candidates: &'a [Candidate],
    standing: Standing,
}

/// How good a candidate is to pick; less is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Standing {
    class: Class,
    tried: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Healthy,
    Draining,
    Unhealthy,
}

impl<'a> Available<'a> {
    /// None where there is no candidate at all.
    pub(crate) fn among(candidates: &'a [Candidate]) -> Option<Self> {
        let standing = candidates.iter().map(Standing::of).min()?;
        Some(Self { candidates, standing })
    }

    /// All candidates, available or not.
    pub(crate) fn all(&self) -> &'a [Candidate] {
        self.candidates
    }

    /// Each with its index among all.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &'a Candidate)> + use<'a> {
        let standing = self.standing;
        self.candidates.iter().enumerate().filter(move |(_, candidate)| Standing::of(candidate) == standing)
    }

    /// The candidate of this index, if it is available.
    pub(crate) fn get(&self, index: usize) -> Option<&'a Candidate> {
        self.candidates.get(index).filter(|candidate| Standing::of(candidate) == self.standing)
    }

    /// The standing of all of them.
    pub(crate) fn standing(&self) -> Standing {
        self.standing
    }
}

impl Standing {
    fn of(candidate: &Candidate) -> Self {
        let class = match candidate.health {
            Health::Healthy => Class::Healthy,
            Health::Draining | Health::Reserve => Class::Draining,
            Health::Unhealthy => Class::Unhealthy,
        };
        Self { class, tried: candidate.outcome != Outcome::Untried }
    }

    /// What is wrong with it; none for healthy candidates that were not tried.
    pub(crate) fn flaw(self) -> Option<Flaw> {
        match (self.class, self.tried) {
            (Class::Healthy, false) => None,
            (Class::Healthy, true) => Some(Flaw::Tried),
            (Class::Draining, _) => Some(Flaw::Draining),
            (Class::Unhealthy, _) => Some(Flaw::Unhealthy),
        }
    }
}

/// What is wrong with the best candidates that are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// All healthy ones were tried in this very exchange.
    Tried,
    /// None is healthy, and these take no new work.
    Draining,
    /// Health checks fail.
    Unhealthy,
}

/// A candidate's share of the work, in thousandths of its weight; at least one, so that no candidate is starved.
pub(crate) fn share(candidate: &Candidate) -> u64 {
    let permille = u64::from(candidate.slow_start_permille.min(1000));
    (u64::from(candidate.weight) * permille).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::candidates;

    #[track_caller]
    fn check(states: &[(Health, Outcome)], expected: &[usize], flaw: Option<Flaw>) {
        let mut candidates = candidates(&vec![1; states.len()]);
        for (candidate, (health, outcome)) in candidates.iter_mut().zip(states) {
            (candidate.health, candidate.outcome) = (*health, *outcome);
        }
        let available = Available::among(&candidates).unwrap();
        assert_eq!(available.iter().map(|(index, _)| index).collect::<Vec<_>>(), expected);
        assert_eq!((0..states.len()).filter(|index| available.get(*index).is_some()).collect::<Vec<_>>(), expected);
        assert_eq!(available.standing().flaw(), flaw);
    }

    #[test]
    fn the_best_standing_is_what_is_available() {
        use Health::{Draining, Healthy, Unhealthy};
        use Outcome::{ConnectFailed, Reset, Untried};
        check(&[(Healthy, Untried), (Unhealthy, Untried), (Healthy, Reset), (Healthy, Untried)], &[0, 3], None);
        check(&[(Draining, Untried), (Unhealthy, Untried), (Healthy, Reset)], &[2], Some(Flaw::Tried));
        check(&[(Draining, Untried), (Draining, Reset), (Unhealthy, Untried)], &[0], Some(Flaw::Draining));
        check(&[(Draining, Reset), (Unhealthy, Untried)], &[0], Some(Flaw::Draining));
        check(&[(Unhealthy, ConnectFailed), (Unhealthy, Untried)], &[1], Some(Flaw::Unhealthy));
        check(&[(Unhealthy, ConnectFailed)], &[0], Some(Flaw::Unhealthy));
    }

    #[test]
    fn no_candidates_are_no_choice() {
        assert!(Available::among(&[]).is_none());
    }
}
