//! Where the host reads time. Everything with a deadline is handed one.

use std::fmt::Debug;
use std::time::{Instant, SystemTime};

/// Where the host reads time, so that tests own it.
pub trait Clock: Send + Sync + Debug {
    /// Never goes back.
    fn now(&self) -> Instant;

    /// May jump.
    fn wall(&self) -> SystemTime;
}

/// The machine's own clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
    fn now(&self) -> Instant {
        Instant::now()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}
