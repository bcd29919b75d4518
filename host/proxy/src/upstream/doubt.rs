//! What became of an endpoint's requests in, whether it is to be trusted with more of them out: one that lets them all wait in vain
//! is asked now and then, where there is nobody better.
//!
//! Ejection leaves a part of a group alone, and never all of it. Where those that are left let their clients wait as well, another
//! client gains nothing by waiting too: it is told so, and one request at a time finds out whether that is still so.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use palisade_contract::{Candidate, Health, UpstreamFault};
use tokio::time::Instant;

use crate::upstream::levels::LEVELS;
use crate::upstream::{Group, Members};

/// From one trial to the next: twice as long as from the one before, so that few clients wait in vain, and within these.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What came of one endpoint's requests since it answered last, whether it was ejected meanwhile or not.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    failures: AtomicU32,
    /// Those of the failures that were the last ones and that somebody had to wait for.
    timeouts: AtomicU32,
    /// It has failed as often as it may.
    is_doubted: AtomicBool,
    /// And lets whoever asks it wait.
    is_silent: AtomicBool,
    trial: Mutex<Option<Trial>>,
}

#[derive(Debug, Clone, Copy)]
struct Trial {
    next: Instant,
    pause: Duration,
}

/// What a failure cost those who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cost {
    /// Nothing: it came soon.
    Little,
    /// As long as they may wait.
    Time,
}

impl Cost {
    pub(super) fn of(fault: UpstreamFault) -> Self {
        match fault {
            UpstreamFault::ConnectTimeout | UpstreamFault::ResponseTimeout => Self::Time,
            UpstreamFault::Connect
            | UpstreamFault::Handshake
            | UpstreamFault::Reset
            | UpstreamFault::Protocol
            | UpstreamFault::Limit
            | UpstreamFault::Body => Self::Little,
        }
    }
}

impl Doubt {
    /// It has failed once more, where so many failures in a row are too many; zero for never.
    pub(super) fn failed(&self, most: u32, (cost, now): (Cost, Instant), group: &Group) {
        let failures = more(&self.failures);
        let timeouts = match cost {
            Cost::Little => {
                self.timeouts.store(0, Ordering::Relaxed);
                0
            }
            Cost::Time => more(&self.timeouts),
        };
        if most == 0 || failures < most {
            return;
        }
        if !self.is_doubted.swap(true, Ordering::Relaxed) {
            group.doubts();
        }
        let is_silent = timeouts >= most;
        let was_silent = self.is_silent.swap(is_silent, Ordering::Relaxed);
        if is_silent && !was_silent {
            *self.trial() = Some(Trial { next: now + PAUSE_MIN, pause: PAUSE_MIN });
        }
    }

    /// It has answered, or there is a reason to think that it will; whether it was in doubt.
    pub(super) fn trusts(&self, group: &Group) -> bool {
        // Of two workers at a time, one may have made it doubted that had counted before the other forgot.
        if self.failures.load(Ordering::Relaxed) == 0 && !self.is_doubted() && !self.is_silent() {
            return false;
        }
        self.failures.store(0, Ordering::Relaxed);
        self.timeouts.store(0, Ordering::Relaxed);
        self.is_silent.store(false, Ordering::Relaxed);
        let was_doubted = self.is_doubted.swap(false, Ordering::Relaxed);
        if was_doubted {
            group.doubts_no_more();
        }
        was_doubted
    }

    /// A request goes to it.
    pub(super) fn asks(&self, now: Instant) {
        if self.is_silent() {
            // In place of one that does not end, another one is tried: it may be for something else.
            let mut trial = self.trial();
            let pause = trial.map_or(PAUSE_MIN, |trial| trial.pause.saturating_mul(2).min(PAUSE_MAX));
            *trial = Some(Trial { next: now + pause, pause });
        }
    }

    fn is_doubted(&self) -> bool {
        self.is_doubted.load(Ordering::Relaxed)
    }

    /// Whether whoever asks it waits in vain, as far as anybody knows.
    pub(super) fn is_silent(&self) -> bool {
        self.is_silent.load(Ordering::Relaxed)
    }

    /// Whether it is silent, and was asked too lately to be asked again.
    pub(super) fn is_spared(&self, now: Instant) -> bool {
        self.is_silent() && self.trial().is_some_and(|trial| now < trial.next)
    }

    fn trial(&self) -> MutexGuard<'_, Option<Trial>> {
        self.trial.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts one more, and stops at the top: a wrap would make it look well.
fn more(count: &AtomicU32) -> u32 {
    let before = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_add(1));
    before.map_or(u32::MAX, |before| before + 1)
}

/// Where all that are left of a level are in doubt, those that are silent are not there, but for trials; whether it is so.
pub(super) fn spare(members: &Members, candidates: &mut [Candidate], now: Instant) -> bool {
    let level = |candidate: &Candidate| usize::from(candidate.priority).min(LEVELS - 1);
    let is_left = |candidate: &Candidate| candidate.health == Health::Healthy;
    let mut are_doubted = [true; LEVELS];
    for (endpoint, candidate) in members.endpoints.iter().zip(candidates.iter()) {
        if let Some(are_doubted) = are_doubted.get_mut(level(candidate)).filter(|_| is_left(candidate)) {
            *are_doubted &= endpoint.doubt().is_doubted();
        }
    }
    let mut is_any = false;
    for (endpoint, candidate) in members.endpoints.iter().zip(candidates.iter_mut()) {
        let is_of_doubted = are_doubted.get(level(candidate)).is_some_and(|are_doubted| *are_doubted);
        if is_of_doubted && is_left(candidate) && endpoint.doubt().is_spared(now) {
            candidate.health = Health::Unhealthy;
            is_any = true;
        }
    }
    is_any
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn one_that_lets_all_wait_is_asked_now_and_then_until_it_answers() {
        let (doubt, group, start) = (Doubt::default(), Group::default(), Instant::now());
        let timed_out = |at: u32| doubt.failed(3, (Cost::Time, start + at * MILLI), &group);
        timed_out(0);
        timed_out(0);
        assert!(!doubt.is_silent() && !group.has_doubts());
        timed_out(0);
        assert!(doubt.is_silent() && group.has_doubts());
        let is_spared = |at: u32| doubt.is_spared(start + at * MILLI);
        assert_eq!([0, 499, 500].map(is_spared), [true, true, false]);
        doubt.asks(start + 500 * MILLI);
        assert_eq!(
            [501, 1_499, 1_500].map(is_spared),
            [true, true, false],
            "while the trial has not ended, for a while"
        );
        timed_out(700);
        assert_eq!([701, 1_499, 1_500].map(is_spared), [true, true, false], "whenever it ends");
        for at in [1_500, 3_500, 7_500, 12_500] {
            doubt.asks(start + at * MILLI);
        }
        assert_eq!(
            [12_501, 17_499, 17_500].map(is_spared),
            [true, true, false],
            "twice as long each time, and 5 s at most"
        );
        assert!(doubt.trusts(&group));
        assert!(!doubt.is_silent() && !doubt.is_spared(start + 4_000 * MILLI) && !group.has_doubts());
        assert!(!doubt.trusts(&group));
    }

    #[test]
    fn one_that_fails_at_once_is_in_doubt_and_keeps_nobody_waiting() {
        let (doubt, group, now) = (Doubt::default(), Group::default(), Instant::now());
        (0..2).for_each(|_| doubt.failed(3, (Cost::Time, now), &group));
        doubt.failed(3, (Cost::Little, now), &group);
        assert!(doubt.is_doubted() && !doubt.is_silent());
        (0..3).for_each(|_| doubt.failed(3, (Cost::Time, now), &group));
        assert!(doubt.is_silent());
        doubt.failed(3, (Cost::Little, now), &group);
        assert!(doubt.is_doubted() && !doubt.is_spared(now));
        assert!(doubt.trusts(&group) && !doubt.is_doubted());
        // As where one worker counts, another one forgets, and the first goes on.
        doubt.is_doubted.store(true, Ordering::Relaxed);
        group.doubts();
        assert!(doubt.trusts(&group) && !group.has_doubts());
        let never = Doubt::default();
        (0..9).for_each(|_| never.failed(0, (Cost::Time, now), &group));
        assert!(!never.is_doubted());
    }
}
