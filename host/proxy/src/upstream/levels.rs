//! Candidates of several levels, in; those that are not wanted yet marked as a reserve, out.
//!
//! A level is wanted while the levels before it have too little that is healthy. Each counts for its share of healthy weight
//! times 1.4, at most for all of it: three of four healthy endpoints are enough, two of three are not. The factor and
//! the sum are those of Envoy's priority levels, where a level that falls short hands on part of its requests; here
//! both levels take them together, so that a request's choice needs no chance, and a table of hashes is not rebuilt for it.

use palisade_config::Endpoint;
use palisade_contract::{Candidate, Health, Outcome};

/// How much a healthy share counts for, in thousandths: a group whose healthy ones are at least 1/1.4 (five of seven) has enough.
const OVERPROVISION_PERMILLE: u64 = 1_400;

/// How much of what a group is for it can do, in thousandths: all, while enough of its weight is healthy.
pub(super) fn sufficiency(healthy: u64, total: u64) -> u64 {
    (healthy * OVERPROVISION_PERMILLE).checked_div(total).unwrap_or(0).min(1_000)
}

/// Marks healthy candidates of levels that are not wanted. What was tried in this exchange does not count as there.
pub(super) fn reserve(candidates: &mut [Candidate]) {
    let mut levels = [Level::default(); LEVELS];
    for candidate in candidates.iter() {
        if let Some(level) = levels.get_mut(usize::from(candidate.priority)) {
            level.count(candidate);
        }
    }
    let Some(last) = last_wanted(&levels) else { return };
    for candidate in candidates.iter_mut() {
        if candidate.priority > last && candidate.health == Health::Healthy {
            candidate.health = Health::Reserve;
        }
    }
}

/// The level after which none is wanted; none where all are.
fn last_wanted(levels: &[Level; LEVELS]) -> Option<u8> {
    let mut enough = 0;
    for (level, priority) in levels.iter().zip(0..) {
        let is_backup = priority == Endpoint::BACKUP;
        if (is_backup && enough > 0) || enough >= 1_000 {
            return Some(priority - 1);
        }
        enough += sufficiency(level.healthy, level.total);
    }
    None
}

/// The weights of one level.
#[derive(Debug, Clone, Copy, Default)]
struct Level {
    healthy: u64,
    total: u64,
}

impl Level {
    fn count(&mut self, candidate: &Candidate) {
        if candidate.outcome != Outcome::Untried {
            return;
        }
        let weight = u64::from(candidate.weight);
        self.total += weight;
        if candidate.health == Health::Healthy {
            self.healthy += weight;
        }
    }
}

/// 0 to 9, and the backups'.
pub(super) const LEVELS: usize = 11;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::pick::tests::candidate;

    /// Each candidate is its level and a letter: `h`ealthy, `u`nhealthy, `t`ried, `d`raining, or what becomes of it: `r`eserve.
    #[track_caller]
    fn check(before: &str, after: &str) {
        let read = |text: &str| -> Vec<(u8, char)> {
            let mut all = Vec::new();
            for word in text.split(' ') {
                let (level, state) = word.split_at(word.len() - 1);
                let level = if level == "b" { Endpoint::BACKUP } else { level.parse().unwrap_or(0) };
                all.push((level, state.chars().next().unwrap_or('h')));
            }
            all
        };
        let mut candidates = Vec::new();
        for (priority, state) in read(before) {
            let (health, outcome) = match state {
                'u' => (Health::Unhealthy, Outcome::Untried),
                'd' => (Health::Draining, Outcome::Untried),
                't' => (Health::Healthy, Outcome::ConnectFailed),
                _ => (Health::Healthy, Outcome::Untried),
            };
            candidates.push(Candidate { priority, health, outcome, ..candidate(0, 1) });
        }
        reserve(&mut candidates);
        let reserved: Vec<bool> = candidates.iter().map(|candidate| candidate.health == Health::Reserve).collect();
        let expected: Vec<bool> = read(after).iter().map(|(_, state)| *state == 'r').collect();
        assert_eq!(reserved, expected, "{before}");
    }

    #[test]
    fn one_level_is_all_wanted() {
        check("0h 0h 0u", "0h 0h 0u");
        check("0u", "0u");
    }

    #[test]
    fn the_next_level_waits_until_five_of_seven_are_too_few() {
        check("0h 0h 1h 1u 2h", "0h 0h 1r 1u 2r");
        check("0h 0h 0h 0u 1h", "0h 0h 0h 0u 1r");
        check("0h 0h 0u 1h 2h", "0h 0h 0u 1h 2r");
        check("0u 0u 1h 2h", "0u 0u 1h 2r");
        check("0u 0d 1u 2h 3h", "0u 0d 1u 2h 3r");
        check("0h 0u 1h 1u 2h", "0h 0u 1h 1u 2r");
    }

    #[test]
    fn levels_may_be_left_out() {
        check("2h 5h 9h", "2h 5r 9r");
        check("2u 5h 9h", "2u 5h 9r");
    }

    #[test]
    fn a_backup_waits_until_nobody_else_is_left() {
        check("0h bh", "0h br");
        check("0h 0u 0u 1u bh", "0h 0u 0u 1u br");
        check("0u 1u bh bu", "0u 1u bh bu");
    }

    #[test]
    fn what_was_tried_makes_room_for_the_next_level() {
        check("0t 1h", "0t 1h");
        check("0t bh", "0t bh");
        check("0t 0h 0h 1h", "0t 0h 0h 1r");
    }

    #[test]
    fn a_group_without_weight_is_never_enough() {
        assert_eq!((sufficiency(0, 0), sufficiency(5, 7), sufficiency(1, 2)), (0, 1_000, 700));
    }
}
