//! The candidates now, in; whether a table that was built for others must be built again, out.

use palisade_sdk::Candidate;

/// Whom a table was built for.
#[derive(Debug, Default)]
pub(crate) struct Members {
    version: Option<u64>,
    members: Vec<Member>,
}

/// What of a candidate a table depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) key: u64,
    pub(crate) weight: u32,
}

impl Members {
    /// Whether these are others than before, which they are no longer now. A version that is known is not looked at twice.
    pub(crate) fn change(&mut self, version: u64, candidates: &[Candidate]) -> bool {
        if self.version == Some(version) && self.members.len() == candidates.len() {
            return false;
        }
        self.version = Some(version);
        let is_same = self.members.len() == candidates.len()
            && self.members.iter().zip(candidates).all(|(member, candidate)| *member == Member::of(candidate));
        if !is_same {
            self.members.clear();
            self.members.extend(candidates.iter().map(Member::of));
        }
        !is_same
    }

    /// In the order of the candidates.
    pub(crate) fn all(&self) -> &[Member] {
        &self.members
    }
}

impl Member {
    fn of(candidate: &Candidate) -> Self {
        Self { key: candidate.key, weight: candidate.weight.max(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::candidates;

    #[test]
    fn a_change_is_one_of_keys_or_weights_and_order() {
        let mut members = Members::default();
        let mut three = candidates(&[1, 1, 1]);
        assert!(members.change(1, &three));
        assert!(!members.change(1, &three));
        three[1].health = palisade_sdk::Health::Unhealthy;
        assert!(!members.change(2, &three));
        three[1].weight = 2;
        assert!(members.change(3, &three));
        assert!(members.change(3, &three[1..]), "the version is the same, but the list is not");
        three.swap(0, 1);
        assert!(members.change(4, &three[..2]));
        assert_eq!(members.all()[0].weight, 2);
    }
}
