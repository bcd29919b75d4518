//! When an endpoint was left alone and let in again, in; how much of that counts still, out: whatever its upstream's table is meanwhile.

use std::time::Duration;

use tokio::time::Instant;

use super::Recent;
use crate::upstream::counts::{Counts, Tally};

/// What ejection remembers of one endpoint.
#[derive(Debug)]
pub(crate) struct Past {
    window: Recent,
    /// Times that it was ejected lately.
    ejections: u32,
    readmitted: Instant,
}

impl Past {
    pub(crate) fn begin(now: Instant, counts: &Counts) -> Self {
        Self { window: Recent::begin(now, counts), ejections: 0, readmitted: now }
    }

    /// What came within the window, of which half is this long.
    pub(super) fn lately(&mut self, (now, half): (Instant, Duration), counts: &Counts) -> Tally {
        self.window.turn(now, half, counts);
        self.window.since(now, counts).1
    }

    /// It is left alone once more; how often it was before, unless it has lasted for long since.
    pub(super) fn ejected(&mut self, now: Instant, long: Duration) -> u32 {
        if now.saturating_duration_since(self.readmitted) >= long {
            self.ejections = 0;
        }
        let before = self.ejections;
        self.ejections = before.saturating_add(1);
        before
    }

    /// It is let in again: what was counted before is not held against it.
    pub(super) fn readmitted(&mut self, now: Instant, counts: &Counts) {
        self.window = Recent::begin(now, counts);
        self.readmitted = now;
    }
}
