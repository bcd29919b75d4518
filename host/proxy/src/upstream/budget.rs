//! How many requests in, how many of them may be sent again out: a share of those of late.
//!
//! A retry storm cannot exceed it: however many fail, an upstream never gets more repeats than this.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use palisade_config::RetryBudget;
use tokio::time::Instant;

/// Of one upstream, all workers together.
#[derive(Debug)]
pub(crate) struct Budget {
    since: Instant,
    window: Mutex<Window>,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self { since: Instant::now(), window: Mutex::default() }
    }

    /// So many requests have come.
    fn add(&self, requests: u64) {
        let second = self.second();
        self.window.lock().unwrap_or_else(PoisonError::into_inner).add(second, requests);
    }

    /// Whether one more may be sent again, which is counted.
    fn take(&self, limits: RetryBudget) -> bool {
        let second = self.second();
        self.window.lock().unwrap_or_else(PoisonError::into_inner).take(second, limits)
    }

    /// Whether one more may be sent again.
    fn has(&self, limits: RetryBudget) -> bool {
        let second = self.second();
        self.window.lock().unwrap_or_else(PoisonError::into_inner).has(second, limits)
    }

    /// From one, so that zero is never now.
    fn second(&self) -> u64 {
        self.since.elapsed().as_secs().saturating_add(1)
    }
}

/// What one worker has counted of an upstream's requests and not yet said to the others. A request costs no more than this.
#[derive(Debug, Default)]
pub(crate) struct Unsaid(Cell<u64>);

impl Unsaid {
    /// A request has come.
    pub(crate) fn request(&self, budget: &Budget) {
        self.0.set(self.0.get() + 1);
        if self.0.get() >= UNSAID_MAX {
            self.say(budget);
        }
    }

    /// Says it now.
    pub(crate) fn say(&self, budget: &Budget) {
        let requests = self.0.take();
        if requests > 0 {
            budget.add(requests);
        }
    }

    /// Whether one more request may be sent again, which is counted.
    pub(crate) fn take(&self, budget: &Budget, limits: RetryBudget) -> bool {
        self.say(budget);
        budget.take(limits)
    }

    /// Whether one more request may be sent again.
    pub(crate) fn has(&self, budget: &Budget, limits: RetryBudget) -> bool {
        self.say(budget);
        budget.has(limits)
    }
}

const UNSAID_MAX: u64 = 64;

/// Requests and repeats of the last seconds, each second by itself.
#[derive(Debug, Default)]
struct Window([Second; SECONDS]);

#[derive(Debug, Clone, Copy, Default)]
struct Second {
    number: u64,
    requests: u64,
    retries: u64,
}

/// How far is looked back.
const SECONDS: usize = 10;

impl Window {
    fn add(&mut self, second: u64, requests: u64) {
        if let Some(second) = self.at(second) {
            second.requests = second.requests.saturating_add(requests);
        }
    }

    fn has(&self, second: u64, limits: RetryBudget) -> bool {
        let (mut requests, mut retries) = (0_u64, 0_u64);
        for known in self.0.iter().filter(|known| known.number.saturating_add(10) > second) {
            requests = requests.saturating_add(known.requests);
            retries = retries.saturating_add(known.retries);
        }
        let share = requests.saturating_mul(limits.percent.into()) / 100;
        let allowed = share.saturating_add(u64::from(limits.minimum) * 10);
        retries < allowed
    }

    fn take(&mut self, second: u64, limits: RetryBudget) -> bool {
        if !self.has(second, limits) {
            return false;
        }
        if let Some(second) = self.at(second) {
            second.retries = second.retries.saturating_add(1);
        }
        true
    }

    /// The place of this second, empty where it was another one's.
    fn at(&mut self, number: u64) -> Option<&mut Second> {
        let place = usize::try_from(number % 10).ok()?;
        let second = self.0.get_mut(place)?;
        if second.number != number {
            *second = Second { number, ..Second::default() };
        }
        Some(second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_share_of_the_requests_of_late_may_be_sent_again() {
        let limits = RetryBudget { percent: 20, minimum: 0 };
        let mut window = Window::default();
        assert!(!window.take(1, limits), "nothing was asked");
        window.add(1, 100);
        let taken = (0..100).filter(|_| window.take(1, limits)).count();
        assert_eq!(taken, 20);
        assert!(!window.take(10, limits), "these are of the last 10 s still");
        window.add(11, 10);
        assert_eq!((0..100).filter(|_| window.take(11, limits)).count(), 2);
    }

    #[test]
    fn a_few_a_second_may_be_sent_again_however_little_is_asked() {
        let limits = RetryBudget { percent: 20, minimum: 3 };
        let mut window = Window::default();
        assert_eq!((0..100).filter(|_| window.take(5, limits)).count(), 30);
        assert!(!window.take(14, limits));
        assert_eq!((0..100).filter(|_| window.take(15, limits)).count(), 30);
    }

    #[test]
    fn nothing_is_sent_again_where_the_budget_is_none() {
        let mut window = Window::default();
        window.add(1, 1_000);
        assert!(!window.take(1, RetryBudget { percent: 0, minimum: 0 }));
    }

    proptest! {
        /// However requests and failures come, and whatever time passes between: over all of it, repeats are at most the
        /// share of the requests and the minimum of each second begun.
        #[test]
        fn no_storm_exceeds_the_budget(
            steps in prop::collection::vec((0_u64..4, 0_u64..200, 0_usize..400), 1..200),
            percent in 0_u32..=100,
            minimum in 0_u32..=5,
        ) {
            let limits = RetryBudget { percent, minimum };
            let mut window = Window::default();
            let (mut second, mut requests, mut retries) = (1_u64, 0_u64, 0_u64);
            for (pause, came, failed) in steps {
                second += pause;
                window.add(second, came);
                requests += came;
                retries += (0..failed).filter(|_| window.take(second, limits)).count() as u64;
                let most = requests * u64::from(percent) / 100 + u64::from(minimum) * (second + 10);
                prop_assert!(retries <= most, "{retries} of {requests} in {second} s");
            }
        }

        /// Nor in any ten seconds by themselves, of the requests of these and of the nine before.
        #[test]
        fn no_burst_exceeds_the_budget(
            seconds in prop::collection::vec((0_u64..100, 0_usize..300), 10..60),
            percent in 0_u32..=100,
        ) {
            let limits = RetryBudget { percent, minimum: 1 };
            let mut window = Window::default();
            let mut history: Vec<(u64, u64)> = Vec::new();
            for (number, (came, failed)) in seconds.into_iter().enumerate() {
                let second = number as u64 + 1;
                window.add(second, came);
                let taken = (0..failed).filter(|_| window.take(second, limits)).count() as u64;
                history.push((came, taken));
                let of_late = history.iter().rev();
                let requests: u64 = of_late.clone().take(19).map(|(came, _)| came).sum();
                let retries: u64 = of_late.take(10).map(|(_, taken)| taken).sum();
                prop_assert!(retries <= requests * u64::from(percent) / 100 + 10);
            }
        }
    }
}
