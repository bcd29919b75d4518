//! How many lines a plugin may log: a hundred a second, with no debt and no savings.

use std::time::{Duration, Instant};

/// Lines in one second.
const LINES: u32 = 100;

/// One instance's allowance.
#[derive(Debug)]
pub(crate) struct Allowance {
    second: Option<Instant>,
    left: u32,
}

impl Allowance {
    pub(crate) fn new() -> Self {
        Self { second: None, left: 0 }
    }

    /// Takes one line, if there is one left in this second.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        if self.second.is_none_or(|second| now.saturating_duration_since(second) >= Duration::from_secs(1)) {
            (self.second, self.left) = (Some(now), LINES);
        }
        let had = self.left > 0;
        self.left = self.left.saturating_sub(1);
        had
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use palisade_contract::{Clock, SystemClock};

    #[test]
    fn a_hundred_lines_a_second_and_no_more() {
        let mut allowance = Allowance::new();
        let start = SystemClock.now();
        let taken = |allowance: &mut Allowance, at| (0..1_000).filter(|_| allowance.take(at)).count();
        assert_eq!(taken(&mut allowance, start), 100);
        assert_eq!(taken(&mut allowance, start + Duration::from_millis(999)), 0);
        assert_eq!(taken(&mut allowance, start + Duration::from_secs(1)), 100);
        assert_eq!(taken(&mut allowance, start + Duration::from_secs(100)), 100);
    }
}
