//! The machine's monotonic clock, read by the processor's own counter where the kernel does so too: half of what asking the system takes, and
//! each call of a plugin asks twice.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use palisade_contract::{Clock, SystemClock};

/// For how long the counter is believed after the system's clock was read. That may be made slower or faster by half a thousandth
/// (`adjtimex(2)`): half a microsecond of this.
const BELIEVED: Duration = Duration::from_millis(1);

/// What Linux reads time from, and what it says there if that is the counter. It does so only where the counters of all processors go alike.
const SOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
const COUNTER: &str = "tsc";

thread_local! {
    static READING: Cell<Option<Reading>> = const { Cell::new(None) };
}

/// When this thread read the system's clock, what the counter said then, and the latest time that was given.
#[derive(Debug, Clone, Copy)]
struct Reading {
    time: Instant,
    count: u64,
    latest: Instant,
}

/// The time, within a microsecond of the system's. Never goes back on one thread.
pub(crate) fn now() -> Instant {
    let Some(counter) = counter() else { return SystemClock.now() };
    let count = counter.raw();
    let earlier = READING.get();
    let believed = earlier.and_then(|earlier| earlier.after(count, |from, to| counter.delta(from, to)));
    let reading = believed.unwrap_or_else(|| {
        let time = SystemClock.now();
        Reading { time, count, latest: earlier.map_or(time, |earlier| earlier.latest.max(time)) }
    });
    READING.set(Some(reading));
    reading.latest
}

impl Reading {
    /// The same with the time that it is by this count; none where that is not believed any more. The counter goes back where the machine was
    /// asleep, or became another one.
    fn after(self, count: u64, between: impl FnOnce(u64, u64) -> Duration) -> Option<Self> {
        let since = (count >= self.count).then(|| between(self.count, count)).filter(|since| *since < BELIEVED)?;
        Some(Self { latest: self.latest.max(self.time + since), ..self })
    }
}

fn counter() -> Option<&'static quanta::Clock> {
    static FOUND: OnceLock<Option<quanta::Clock>> = OnceLock::new();
    let find = || {
        let source = std::fs::read_to_string(SOURCE).ok()?;
        (source.trim_end() == COUNTER).then(quanta::Clock::new)
    };
    FOUND.get_or_init(find).as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_systems_time_and_never_goes_back() {
        let (mut latest, until) = (now(), SystemClock.now() + 20 * BELIEVED);
        let mut early = Duration::MAX;
        while SystemClock.now() < until {
            let (before, here, after) = (SystemClock.now(), now(), SystemClock.now());
            assert!(here >= latest, "{:?} back", latest - here);
            assert!(here <= after + Duration::from_micros(50), "{:?} ahead", here - after);
            early = early.min(before.saturating_duration_since(here));
            latest = here;
        }
        assert!(early < Duration::from_micros(50), "{early:?} behind");
    }

    #[test]
    fn the_counter_is_believed_for_a_while_and_not_where_it_goes_back() {
        let time = SystemClock.now();
        let reading = Reading { time, count: 5_000_000, latest: time };
        let at =
            |count| reading.after(count, |from, to| Duration::from_nanos(to - from)).map(|later| later.latest - time);
        assert_eq!(at(5_000_000), Some(Duration::ZERO));
        assert_eq!(at(5_999_999), Some(Duration::from_nanos(999_999)));
        assert_eq!(at(6_000_000), None);
        assert_eq!(at(4_999_999), None);
        let ahead = Reading { latest: time + BELIEVED, ..reading };
        let later = ahead.after(5_000_001, |_, _| Duration::from_nanos(1)).map(|later| later.latest);
        assert_eq!(later, Some(time + BELIEVED), "it does not go back");
    }
}
