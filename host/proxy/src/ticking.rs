//! The timers of plugins: each filter that has an interval is called once in it, on the first worker alone.

use std::rc::Rc;

use palisade_contract::Filter;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// The timers of the filters of one worker's plan.
#[derive(Default)]
pub(crate) struct Ticking(Vec<Timer>);

/// One filter's timer. Dropping it ends that.
struct Timer {
    filter: Rc<dyn Filter>,
    task: JoinHandle<()>,
}

impl Ticking {
    /// These are the filters from now on. One that was there before keeps its time; one that is not there any more ticks no
    /// longer, though exchanges may still hold it.
    pub(crate) fn serve<'a>(&mut self, filters: impl Iterator<Item = &'a Rc<dyn Filter>>) {
        let mut before = std::mem::take(&mut self.0);
        self.0 = filters
            .filter(|filter| filter.tick_interval().is_some())
            .map(|filter| match before.iter().position(|timer| Rc::ptr_eq(&timer.filter, filter)) {
                Some(index) => before.swap_remove(index),
                None => Timer { filter: filter.clone(), task: tokio::task::spawn_local(tick(filter.clone())) },
            })
            .collect();
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn tick(filter: Rc<dyn Filter>) {
    let Some(every) = filter.tick_interval() else { return };
    let Some(first) = Instant::now().checked_add(every) else { return };
    let mut interval = interval_at(first, every);
    // The next one is a whole interval after this one, however late this one was.
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        filter.tick();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use palisade_contract::{OnError, Phases};
    use tokio::task::LocalSet;
    use tokio::time::{advance, sleep};

    use super::*;

    /// Counts its ticks, of which there is to be one a second, or none.
    #[derive(Debug)]
    struct Counts {
        every: Option<Duration>,
        ticks: Cell<u32>,
    }

    impl Filter for Counts {
        fn name(&self) -> &str {
            "counts"
        }

        fn phases(&self) -> Phases {
            Phases::default()
        }

        fn on_error(&self) -> Option<OnError> {
            None
        }

        fn tick_interval(&self) -> Option<Duration> {
            self.every
        }

        fn tick(&self) {
            self.ticks.set(self.ticks.get() + 1);
        }
    }

    fn counts(every: Option<Duration>) -> Rc<Counts> {
        Rc::new(Counts { every, ticks: Cell::new(0) })
    }

    #[tokio::test(start_paused = true)]
    async fn a_filter_ticks_while_it_is_served_and_catches_up_with_nothing() {
        let second = Duration::from_secs(1);
        let (one, other, never) = (counts(Some(second)), counts(Some(second)), counts(None));
        let filters: [Rc<dyn Filter>; 3] = [one.clone(), other.clone(), never.clone()];
        let ticks = || [&one, &other, &never].map(|filter| filter.ticks.get());
        let run = async {
            let mut ticking = Ticking::default();
            ticking.serve(filters.iter());
            sleep(second * 7 / 2).await;
            assert_eq!(ticks(), [3, 3, 0]);
            // The one that stays keeps its time, the other one ends.
            ticking.serve(filters.iter().take(1));
            sleep(second).await;
            assert_eq!(ticks(), [4, 3, 0]);
            // The worker did not run for ten seconds: one tick, and the next one a second later.
            advance(second * 10).await;
            sleep(second / 4).await;
            assert_eq!(ticks(), [5, 3, 0]);
            sleep(second).await;
            assert_eq!(ticks(), [6, 3, 0]);
            drop(ticking);
            sleep(second * 5).await;
            assert_eq!(ticks(), [6, 3, 0]);
        };
        LocalSet::new().run_until(run).await;
    }
}
