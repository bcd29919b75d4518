//! What all workers, and all plans, know of one endpoint.

use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use palisade_contract::Health;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::upstream::counts::Counts;
use crate::upstream::doubt::Doubt;
use crate::upstream::group::Group;
use crate::upstream::health::{Past, Recent};
use crate::upstream::rules::Rules;
use crate::upstream::standing::{Checked, Known, Standing};

/// What is known of it. Another weight or zone makes another endpoint of the same that is known.
#[derive(Debug)]
pub(super) struct Vital {
    pub(super) in_flight: AtomicU32,
    pub(super) failures: AtomicU32,
    /// A [`PeakEwma`].
    pub(super) latency: AtomicU64,
    /// As of `known`, for whoever chooses.
    pub(super) health: AtomicU8,
    pub(super) share_permille: AtomicU16,
    pub(super) counts: Counts,
    /// The last minute.
    pub(super) figures: Mutex<Recent>,
    pub(super) past: Mutex<Past>,
    pub(super) ejections: AtomicU64,
    pub(super) known: Mutex<Known>,
    pub(super) told: watch::Sender<Standing>,
    pub(super) doubt: Doubt,
    /// Until when it asks to be left alone.
    pub(super) rests_until: Mutex<Option<Instant>>,
    pub(super) group: Arc<Group>,
}

impl Drop for Vital {
    fn drop(&mut self) {
        self.doubt.trusts(&self.group);
    }
}

/// How an endpoint comes to be.
#[derive(Debug, Clone)]
pub(crate) enum Arrival {
    /// With its upstream: it has its whole share from the beginning.
    First(Checked),
    /// Into an upstream that is at work.
    Later(Checked),
}

impl Vital {
    pub(super) fn new(rules: Rules, arrival: Arrival, group: &Arc<Group>) -> Self {
        let (checked, is_late) = match arrival {
            Arrival::First(checked) => (checked, false),
            Arrival::Later(checked) => (checked, true),
        };
        let mut known = Known::new(checked);
        let is_slow = is_late && rules.slow_start > Duration::ZERO;
        known.was_healthy |= is_late;
        let counts = Counts::default();
        Self {
            figures: Mutex::new(Recent::begin(Instant::now(), &counts)),
            past: Mutex::new(Past::begin(Instant::now(), &counts)),
            counts,
            ejections: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            latency: AtomicU64::new(0),
            health: AtomicU8::new(number(known.standing.health)),
            share_permille: AtomicU16::new(if is_slow { SHARE_FIRST } else { SHARE_WHOLE }),
            told: watch::Sender::new(known.standing.clone()),
            known: Mutex::new(known),
            doubt: Doubt::default(),
            rests_until: Mutex::default(),
            group: group.clone(),
        }
    }
}

/// A share of the weight, in thousandths: what a newcomer begins with, and all of it.
pub(crate) const SHARE_FIRST: u16 = 100;
pub(crate) const SHARE_WHOLE: u16 = 1_000;

pub(super) const HEALTHY: u8 = 0;
pub(super) const UNHEALTHY: u8 = 1;
pub(super) const DRAINING: u8 = 2;

pub(super) fn number(health: Health) -> u8 {
    match health {
        Health::Healthy | Health::Reserve => HEALTHY,
        Health::Unhealthy => UNHEALTHY,
        Health::Draining => DRAINING,
    }
}
