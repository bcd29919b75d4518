//! Candidates of which too few are healthy, in; all of them to be asked, out: rather some answers than none.

use palisade_contract::{Candidate, Health};

/// Takes those that are down for healthy where fewer than this share of all are. Those that drain are not counted, and stay so.
pub(super) fn panic(candidates: &mut [Candidate], percent: u8) {
    let count = |health: Health| candidates.iter().filter(|candidate| candidate.health == health).count();
    let (up, down) = (count(Health::Healthy), count(Health::Unhealthy));
    if up * 100 >= (up + down) * usize::from(percent) {
        return;
    }
    for candidate in candidates.iter_mut().filter(|candidate| candidate.health == Health::Unhealthy) {
        candidate.health = Health::Healthy;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::pick::tests::candidate;

    /// Each letter is a candidate: `h`ealthy, `u`nhealthy, `d`raining.
    #[track_caller]
    fn check(percent: u8, before: &str, after: &str) {
        let candidate = |letter: char| Candidate {
            health: match letter {
                'h' => Health::Healthy,
                'u' => Health::Unhealthy,
                _ => Health::Draining,
            },
            ..candidate(0, 1)
        };
        let mut candidates: Vec<_> = before.chars().map(candidate).collect();
        panic(&mut candidates, percent);
        let letter = |candidate: &Candidate| match candidate.health {
            Health::Healthy => 'h',
            Health::Unhealthy => 'u',
            Health::Draining | Health::Reserve => 'd',
        };
        assert_eq!(candidates.iter().map(letter).collect::<String>(), after, "{percent} {before}");
    }

    #[test]
    fn all_are_asked_where_too_few_are_healthy() {
        check(50, "hhuu", "hhuu");
        check(50, "huuu", "hhhh");
        check(50, "huudd", "hhhdd");
        check(1, "uuud", "hhhd");
        check(100, "hhu", "hhh");
        check(1, "huuu", "huuu");
        check(50, "", "");
    }
}
