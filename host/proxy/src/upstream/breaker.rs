//! How exchanges ended in, whether the next one is let through out: closed, open for a while, half open, closed again.
//!
//! Time is handed in.

use std::time::Duration;

use palisade_config::ErrorRate;
use palisade_contract::CircuitState;
use tokio::time::Instant;

/// Whether exchanges are let through, by how those before have ended.
#[derive(Debug)]
pub(crate) struct Breaker {
    limits: ErrorRate,
    state: State,
    slots: [Slot; SLOTS],
    since: Instant,
    /// How often trials have begun.
    period: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open {
        until: Instant,
    },
    /// Exchanges that were let through, and those of them that ended well; and when others are let through in place of those
    /// that do not end.
    HalfOpen {
        until: Instant,
        under_way: u32,
        good: u32,
    },
}

/// What came in one part of the window.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    number: u64,
    ended: u32,
    failed: u32,
}

const SLOTS: usize = 10;

/// How an exchange was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passage {
    Ordinary,
    /// One of a few, which decides whether the circuit closes; and of which period it is.
    Trial(u64),
}

impl Breaker {
    pub(crate) fn new(limits: ErrorRate, now: Instant) -> Self {
        Self { limits, state: State::Closed, slots: [Slot::default(); SLOTS], since: now, period: 0 }
    }

    /// Its state, as it is told.
    pub(crate) fn state(&self) -> CircuitState {
        match self.state {
            State::Closed => CircuitState::Closed,
            State::Open { .. } => CircuitState::Open,
            State::HalfOpen { .. } => CircuitState::HalfOpen,
        }
    }

    /// Whether one more exchange is let through, and what that changes.
    pub(crate) fn admit(&mut self, now: Instant) -> (Option<Passage>, Option<CircuitState>) {
        match self.state {
            State::Closed => (Some(Passage::Ordinary), None),
            State::Open { until } if now < until => (None, None),
            State::Open { .. } => (Some(self.first_trial(0, now)), Some(CircuitState::HalfOpen)),
            State::HalfOpen { until, under_way, good } if under_way + good < self.limits.trials => {
                self.state = State::HalfOpen { until, under_way: under_way + 1, good };
                (Some(Passage::Trial(self.period)), None)
            }
            // Those that are under way may never end, so others decide.
            State::HalfOpen { until, good, .. } if now >= until => (Some(self.first_trial(good, now)), None),
            State::HalfOpen { .. } => (None, None),
        }
    }

    /// A period of trials begins, where so many have ended well already.
    fn first_trial(&mut self, good: u32, now: Instant) -> Passage {
        self.period = self.period.wrapping_add(1);
        self.state = State::HalfOpen { until: now + self.limits.open, under_way: 1, good };
        Passage::Trial(self.period)
    }

    /// An exchange that was let through has ended so, and what that changes.
    pub(crate) fn ended(&mut self, passage: Passage, is_good: bool, now: Instant) -> Option<CircuitState> {
        match (self.state, passage) {
            // Others decide now.
            (_, Passage::Trial(period)) if period != self.period => None,
            (State::Closed, _) => self.counted(is_good, now),
            (State::HalfOpen { .. }, Passage::Trial(_)) if !is_good => Some(self.open(now)),
            (State::HalfOpen { until, under_way, good }, Passage::Trial(_)) => {
                let (under_way, good) = (under_way.saturating_sub(1), good + 1);
                self.state = State::HalfOpen { until, under_way, good };
                if good < self.limits.trials {
                    return None;
                }
                (self.state, self.slots) = (State::Closed, [Slot::default(); SLOTS]);
                Some(CircuitState::Closed)
            }
            // Of a time before: it says nothing about now.
            (State::HalfOpen { .. }, Passage::Ordinary) | (State::Open { .. }, _) => None,
        }
    }

    /// An exchange has ended, and nobody knows how: its client has left.
    pub(crate) fn given_up(&mut self, passage: Passage) {
        if let State::HalfOpen { until, under_way, good } = self.state
            && passage == Passage::Trial(self.period)
        {
            self.state = State::HalfOpen { until, under_way: under_way.saturating_sub(1), good };
        }
    }

    fn counted(&mut self, is_good: bool, now: Instant) -> Option<CircuitState> {
        let number = self.number(now);
        if let Some(slot) = usize::try_from(number % 10).ok().and_then(|place| self.slots.get_mut(place)) {
            if slot.number != number {
                *slot = Slot { number, ..Slot::default() };
            }
            slot.ended = slot.ended.saturating_add(1);
            slot.failed = slot.failed.saturating_add(u32::from(!is_good));
        }
        if is_good {
            return None;
        }
        let of_late = self.slots.iter().filter(|slot| slot.number.saturating_add(10) > number);
        let (ended, failed) = of_late.fold((0_u64, 0_u64), |(ended, failed), slot| {
            (ended + u64::from(slot.ended), failed + u64::from(slot.failed))
        });
        let is_enough = ended >= self.limits.requests.into();
        let is_bad = failed * 100 >= ended * u64::from(self.limits.percent);
        (is_enough && is_bad).then(|| self.open(now))
    }

    fn open(&mut self, now: Instant) -> CircuitState {
        self.state = State::Open { until: now + self.limits.open };
        CircuitState::Open
    }

    /// Which part of the window it is, counted from ten, so that zero is long ago.
    fn number(&self, now: Instant) -> u64 {
        let part = self.limits.window.max(Duration::from_millis(10)) / 10;
        let parts = now.saturating_duration_since(self.since).as_micros() / part.as_micros().max(1);
        u64::try_from(parts).unwrap_or(u64::MAX).saturating_add(10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker(now: Instant) -> Breaker {
        let limits = ErrorRate { percent: 50, requests: 10, window: 10 * SECOND, open: 5 * SECOND, trials: 2 };
        Breaker::new(limits, now)
    }

    /// One that has opened, and the time at which it is tried.
    fn opened(start: Instant) -> (Breaker, Instant) {
        let mut circuit = breaker(start);
        (0..10).for_each(|_| assert_ne!(ends(&mut circuit, false, start), Some(CircuitState::Closed)));
        (circuit, start + 5 * SECOND)
    }

    /// Both of its first trials begin, and no third one.
    fn tried(circuit: &mut Breaker, later: Instant) {
        assert_eq!(circuit.admit(later), (Some(Passage::Trial(1)), Some(CircuitState::HalfOpen)));
        assert_eq!(circuit.admit(later), (Some(Passage::Trial(1)), None));
        assert_eq!(circuit.admit(later), (None, None), "as many as are tried");
    }

    fn ends(breaker: &mut Breaker, is_good: bool, now: Instant) -> Option<CircuitState> {
        let (passage, _) = breaker.admit(now);
        breaker.ended(passage.expect("a passage"), is_good, now)
    }

    #[test]
    fn it_opens_where_enough_have_failed_of_enough() {
        let start = Instant::now();
        let mut circuit = breaker(start);
        for number in 0..9 {
            assert_eq!(ends(&mut circuit, false, start), None, "failure {number}: too few to tell");
        }
        assert_eq!(ends(&mut circuit, false, start), Some(CircuitState::Open));
        assert_eq!(circuit.admit(start + 4 * SECOND), (None, None));
        // One that was under way says nothing any more.
        assert_eq!(circuit.ended(Passage::Ordinary, true, start + 4 * SECOND), None);
    }

    #[test]
    fn it_stays_closed_where_most_end_well_or_failed_long_ago() {
        let start = Instant::now();
        let mut circuit = breaker(start);
        for number in 0..100 {
            assert_eq!(ends(&mut circuit, number % 5 < 3, start), None, "{number}");
        }
        let mut circuit = breaker(start);
        for number in 0..40 {
            assert_eq!(ends(&mut circuit, false, start + number * 2 * SECOND), None, "{number}: five in ten seconds");
        }
    }

    #[test]
    fn it_closes_again_when_its_trials_have_ended_well() {
        let (mut circuit, later) = opened(Instant::now());
        tried(&mut circuit, later);
        circuit.given_up(Passage::Trial(1));
        assert_eq!(circuit.admit(later), (Some(Passage::Trial(1)), None));
        assert_eq!(circuit.ended(Passage::Trial(1), true, later), None);
        assert_eq!(circuit.ended(Passage::Trial(1), true, later), Some(CircuitState::Closed));
        assert_eq!(ends(&mut circuit, false, later), None, "what failed before is forgotten");
    }

    #[test]
    fn it_opens_again_when_a_trial_fails() {
        let (mut circuit, later) = opened(Instant::now());
        assert_eq!(ends(&mut circuit, false, later), Some(CircuitState::Open));
        assert_eq!(circuit.admit(later + 4 * SECOND), (None, None));
        assert_eq!(circuit.admit(later + 5 * SECOND), (Some(Passage::Trial(2)), Some(CircuitState::HalfOpen)));
    }

    #[test]
    fn others_are_tried_in_place_of_those_that_never_end() {
        let (mut circuit, later) = opened(Instant::now());
        tried(&mut circuit, later);
        assert_eq!(circuit.admit(later + 4 * SECOND), (None, None), "both are under way");
        let later = later + 5 * SECOND;
        assert_eq!(circuit.admit(later), (Some(Passage::Trial(2)), None));
        assert_eq!(circuit.admit(later), (Some(Passage::Trial(2)), None));
        assert_eq!(circuit.admit(later), (None, None));
        // What became of the first ones does not matter any more.
        assert_eq!(circuit.ended(Passage::Trial(1), false, later), None);
        circuit.given_up(Passage::Trial(1));
        assert_eq!(circuit.admit(later), (None, None));
        assert_eq!(circuit.ended(Passage::Trial(2), true, later), None);
        assert_eq!(circuit.ended(Passage::Trial(2), true, later), Some(CircuitState::Closed));
        assert_eq!(circuit.state(), CircuitState::Closed);
    }
}
