//! What is held against an endpoint goes in, by all who know something of it; its health comes out, why, and since when.

use std::sync::Arc;
use std::time::SystemTime;

use palisade_contract::{Clock, Health, SystemClock};
use tokio::time::Instant;

/// An endpoint's health, why it is so, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Whether it is chosen.
    pub health: Health,
    /// Why it is not; none where it is healthy.
    pub reason: Option<Arc<str>>,
    /// Whether checks say that it is down, whatever else is held against it.
    pub fails_checks: bool,
    /// Since when its health is this.
    pub since: SystemTime,
}

/// All that may be held against one endpoint.
#[derive(Debug, Clone, Default)]
pub(crate) struct Against {
    /// The upstream does not have it any more.
    pub(crate) is_gone: bool,
    /// The operator wants no new requests there.
    pub(crate) is_drained: bool,
    pub(crate) checked: Checked,
    pub(crate) ejected: Option<Ejected>,
}

/// What active checks say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Checked {
    /// Nothing: there are none.
    #[default]
    Off,
    /// The first one has not ended.
    Unknown,
    Passed,
    /// They fail, for this reason.
    Failed(Arc<str>),
}

/// It is left alone for a while, for what came of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ejected {
    pub(crate) reason: Arc<str>,
    pub(crate) until: Instant,
}

impl Against {
    /// What comes of it. Who takes an endpoint out on purpose comes before what was found out about it.
    fn decided(&self) -> (Health, Option<Arc<str>>) {
        let checked = match &self.checked {
            Checked::Off | Checked::Passed => None,
            Checked::Unknown => Some(NOT_CHECKED.into()),
            Checked::Failed(why) => Some(why.clone()),
        };
        if self.is_gone {
            return (Health::Draining, Some(GONE.into()));
        }
        if self.is_drained {
            return (Health::Draining, Some(DRAINED.into()));
        }
        match checked.or_else(|| self.ejected.as_ref().map(|ejected| ejected.reason.clone())) {
            Some(why) => (Health::Unhealthy, Some(why)),
            None => (Health::Healthy, None),
        }
    }
}

const GONE: &str = "the upstream does not have it any more";
const DRAINED: &str = "drained by the operator";
const NOT_CHECKED: &str = "it was not checked yet";

/// What is held against an endpoint, with what came of it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) against: Against,
    pub(super) standing: Standing,
    /// Whether it was healthy at any time.
    pub(super) was_healthy: bool,
}

impl Known {
    pub(super) fn new(checked: Checked) -> Self {
        let against = Against { checked, ..Against::default() };
        let (health, reason) = against.decided();
        let standing = Standing { health, reason, fails_checks: false, since: SystemClock.wall() };
        Self { against, standing, was_healthy: health == Health::Healthy }
    }

    /// What was known becomes something else. Where that changes the endpoint's standing, what it was comes out.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Against)) -> Option<Standing> {
        change(&mut self.against);
        let (health, reason) = self.against.decided();
        let fails_checks = matches!(self.against.checked, Checked::Failed(_));
        let known = &self.standing;
        if (health, &reason, fails_checks) == (known.health, &known.reason, known.fails_checks) {
            return None;
        }
        // Another reason for the same is as old as the first.
        let since = if health == self.standing.health { self.standing.since } else { SystemClock.wall() };
        self.was_healthy |= health == Health::Healthy;
        Some(std::mem::replace(&mut self.standing, Standing { health, reason, fails_checks, since }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_healthy_while_nothing_is_held_against_it() {
        check(&[], Health::Healthy, None);
        check(&[|against| against.checked = Checked::Unknown], Health::Unhealthy, Some(NOT_CHECKED));
        check(&[|against| against.checked = Checked::Failed("refused".into())], Health::Unhealthy, Some("refused"));
        check(
            &[|against| against.checked = Checked::Unknown, |against| against.checked = Checked::Passed],
            Health::Healthy,
            None,
        );
        // Taken out on purpose comes first, and what was found meanwhile holds afterwards.
        check(
            &[|against| against.checked = Checked::Failed("refused".into()), |against| against.is_drained = true],
            Health::Draining,
            Some(DRAINED),
        );
        check(&[|against| against.is_drained = true, |against| against.is_gone = true], Health::Draining, Some(GONE));
        check(&[eject, |against| against.is_drained = false], Health::Unhealthy, Some("5 failures in a row"));
        check(&[eject, |against| against.ejected = None], Health::Healthy, None);
    }

    fn eject(against: &mut Against) {
        against.ejected = Some(Ejected { reason: "5 failures in a row".into(), until: Instant::now() });
    }

    #[track_caller]
    fn check(changes: &[fn(&mut Against)], health: Health, reason: Option<&str>) {
        let mut known = Known::new(Checked::Off);
        for change in changes {
            known.change(change);
        }
        assert_eq!((known.standing.health, known.standing.reason.as_deref()), (health, reason));
    }

    #[test]
    fn only_what_changes_is_told_and_another_reason_is_no_younger() {
        let mut known = Known::new(Checked::Off);
        assert_eq!(known.change(|against| against.checked = Checked::Passed), None);
        let before = known.change(|against| against.checked = Checked::Failed("refused".into()));
        assert_eq!(before.map(|before| before.health), Some(Health::Healthy));
        let since = known.standing.since;
        assert!(known.change(|against| against.checked = Checked::Failed("timed out".into())).is_some());
        assert_eq!(known.standing.since, since);
    }
}
