//! A plugin that keeps breaking is left alone for a while, and tried again by itself.
//!
//! Instances that break are counted on all workers together, and one good call forgets them: one client's bad request, again
//! and again, does not stop a plugin that serves the others. While the plugin is left alone its policy holds. After that
//! one call tries it: if it breaks again the next pause is twice as long.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use palisade_config::Backoff as Config;

/// How often a plugin has broken in a row, and until when it is left alone.
#[derive(Debug)]
pub(crate) struct Backoff {
    config: Config,
    /// Times are kept in nanoseconds from here on.
    since: Instant,
    /// Instances that broke with no good call in between.
    broken: AtomicU32,
    /// How often it was left alone in a row.
    pauses: AtomicU32,
    /// Zero where it is not left alone.
    until: AtomicU64,
}

impl Backoff {
    pub(crate) fn new(config: Config, now: Instant) -> Self {
        let (broken, pauses, until) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU64::new(0));
        Self { config, since: now, broken, pauses, until }
    }

    /// Whether it was not left alone since its last good call, which is known without a look at the clock.
    pub(crate) fn is_clear(&self) -> bool {
        self.until.load(Ordering::Relaxed) == 0
    }

    /// Whether the plugin may be called.
    ///
    /// # Errors
    /// It is left alone, for so long still.
    pub(crate) fn admits(&self, now: Instant) -> Result<(), Duration> {
        let until = self.until.load(Ordering::Relaxed);
        if until == 0 {
            return Ok(());
        }
        let now = self.nanoseconds(now);
        if now < until {
            return Err(Duration::from_nanos(until - now));
        }
        // One call tries it; the others wait for what becomes of that, at most for a first pause.
        let next = now.saturating_add(nanoseconds(self.config.first));
        match self.until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Ok(()),
            Err(until) => Err(Duration::from_nanos(until.saturating_sub(now))),
        }
    }

    /// A call went well.
    pub(crate) fn went_well(&self) {
        // Read first: on most calls there is nothing to forget, and the line stays shared by all workers.
        if self.broken.load(Ordering::Relaxed) != 0 || self.until.load(Ordering::Relaxed) != 0 {
            self.broken.store(0, Ordering::Relaxed);
            self.pauses.store(0, Ordering::Relaxed);
            self.until.store(0, Ordering::Relaxed);
        }
    }

    /// An instance broke, or did not start. For how long the plugin is left alone, if it is from now on.
    pub(crate) fn broke(&self, now: Instant) -> Option<Duration> {
        let broken = self.broken.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if broken < self.config.after {
            return None;
        }
        let pauses = self.pauses.fetch_add(1, Ordering::Relaxed).min(31);
        let pause = self.config.first.saturating_mul(1 << pauses).min(self.config.max);
        self.until.store(self.nanoseconds(now).saturating_add(nanoseconds(pause)).max(1), Ordering::Relaxed);
        Some(pause)
    }

    /// Whether it is left alone now.
    pub(crate) fn is_pausing(&self, now: Instant) -> bool {
        self.until.load(Ordering::Relaxed) > self.nanoseconds(now)
    }

    fn nanoseconds(&self, now: Instant) -> u64 {
        nanoseconds(now.saturating_duration_since(self.since))
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use palisade_contract::{Clock, SystemClock};

    const SECOND: Duration = Duration::from_secs(1);

    fn backoff(start: Instant) -> Backoff {
        Backoff::new(Config { after: 3, first: SECOND, max: 4 * SECOND }, start)
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_end_by_themselves() {
        let start = SystemClock.now();
        let backoff = backoff(start);
        assert_eq!((backoff.broke(start), backoff.broke(start)), (None, None));
        assert_eq!(backoff.admits(start), Ok(()));
        let mut now = start;
        for (tries, pause) in [1, 2, 4, 4].into_iter().enumerate() {
            let pause = pause * SECOND;
            assert_eq!(backoff.broke(now), Some(pause), "{tries}");
            assert!(backoff.is_pausing(now));
            assert_eq!(backoff.admits(now + pause / 2), Err(pause / 2), "{tries}");
            now += pause;
            assert_eq!(backoff.admits(now), Ok(()), "one call tries it");
            assert_eq!(backoff.admits(now), Err(SECOND), "and no other one meanwhile");
        }
        backoff.went_well();
        assert!(!backoff.is_pausing(now));
        assert_eq!((backoff.broke(now), backoff.broke(now)), (None, None), "it begins anew");
        assert_eq!(backoff.broke(now), Some(SECOND));
    }

    #[test]
    fn a_good_call_in_between_forgets_what_broke() {
        let start = SystemClock.now();
        let backoff = backoff(start);
        for _ in 0..100 {
            assert_eq!((backoff.broke(start), backoff.broke(start)), (None, None));
            backoff.went_well();
        }
        assert_eq!(backoff.admits(start), Ok(()));
    }
}
