//! Counts of an endpoint as they grow go in from time to time; what came in the last while comes out.

use std::time::Duration;

use tokio::time::Instant;

use crate::upstream::counts::{Counts, Tally};

/// What an endpoint's counts were, half a while ago and a whole one.
#[derive(Debug, Clone)]
pub(crate) struct Recent {
    older: (Instant, Tally),
    newer: (Instant, Tally),
}

impl Recent {
    pub(crate) fn begin(now: Instant, counts: &Counts) -> Self {
        let taken = (now, counts.taken());
        Self { older: taken.clone(), newer: taken }
    }

    /// Half a while has passed, if it has: what was newer is older now.
    pub(crate) fn turn(&mut self, now: Instant, half: Duration, counts: &Counts) {
        if now.saturating_duration_since(self.newer.0) >= half {
            self.older = std::mem::replace(&mut self.newer, (now, counts.taken()));
        }
    }

    /// What came in the last while, which is at least half of it where the endpoint is known for as long.
    pub(crate) fn since(&self, now: Instant, counts: &Counts) -> (Duration, Tally) {
        let (from, before) = &self.older;
        (now.saturating_duration_since(*from), counts.taken().since(before))
    }
}
