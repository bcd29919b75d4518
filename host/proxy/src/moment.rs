//! What time it is, read once for each turn of a connection: most of what happens in a turn happens within microseconds, and
//! reading the clock for each of it would be a fiftieth of a request.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::SystemTime;

use palisade_contract::{Clock, SystemClock};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::counter;

thread_local! {
    static TURN: Cell<Turn> = const { Cell::new(Turn::None) };
}

/// What this thread is at.
#[derive(Debug, Clone, Copy)]
enum Turn {
    /// Nothing that is in turns: the clock is read each time.
    None,
    /// A turn in which nobody has asked for the time yet.
    Begun,
    /// A turn in which it is this time.
    At(Instant),
}

/// The time, as of this turn.
pub(crate) fn now() -> Instant {
    match TURN.get() {
        Turn::None => Instant::now(),
        Turn::Begun => {
            let now = Instant::now();
            TURN.set(Turn::At(now));
            now
        }
        Turn::At(now) => now,
    }
}

/// The machine's clocks, for whatever takes its time within a turn: when it was read last is the turn's time. Plugins' calls, which are timed
/// by it, so move the turn on, and nobody has to read the clock again behind them.
#[derive(Debug, Clone, Copy, Default)]
pub struct TurnClock;

impl Clock for TurnClock {
    fn now(&self) -> std::time::Instant {
        let now = counter::now();
        match TURN.get() {
            Turn::None => {}
            Turn::Begun => TURN.set(Turn::At(now.into())),
            // The counter may be a microsecond behind the system's clock, which the turn may have been told.
            Turn::At(earlier) => TURN.set(Turn::At(earlier.max(now.into()))),
        }
        now
    }

    fn wall(&self) -> SystemTime {
        SystemClock.wall()
    }
}

pin_project! {
    /// A future each of whose polls is a turn.
    #[derive(Debug)]
    pub(crate) struct InTurns<F> {
        #[pin]
        future: F,
    }
}

impl<F> InTurns<F> {
    pub(crate) fn new(future: F) -> Self {
        Self { future }
    }
}

impl<F: Future> Future for InTurns<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _ended = Ended(TURN.replace(Turn::Begun));
        self.project().future.poll(context)
    }
}

/// Ends a turn when it is dropped, also where it ends in a panic.
struct Ended(Turn);

impl Drop for Ended {
    fn drop(&mut self) {
        TURN.set(self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_stands_still_within_a_turn_unless_something_took_some() {
        let began = now();
        InTurns::new(async {
            let first = now();
            tokio::time::advance(Duration::from_secs(1)).await;
            // Awaiting it has ended the turn.
            assert_eq!(now() - first, Duration::from_secs(1));
        })
        .await;
        let after = now();
        assert_eq!(after - began, Duration::from_secs(1));
    }

    #[test]
    fn the_clock_is_read_once_in_a_turn() {
        TURN.set(Turn::Begun);
        let first = now();
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(now(), first);
        let called = TurnClock.now();
        assert!(now() > first);
        assert_eq!(now().into_std(), called, "what was timed has moved the turn on");
        let ahead = now() + Duration::from_secs(1);
        TURN.set(Turn::At(ahead));
        TurnClock.now();
        assert_eq!(now(), ahead, "a turn does not go back");
        TURN.set(Turn::None);
        let called = TurnClock.now();
        std::thread::sleep(Duration::from_millis(2));
        assert!(now().into_std() > called, "there is no turn");
    }
}
