//! How much of something an instance may do in a second, with no debt and no savings.

use std::time::{Duration, Instant};

/// One instance's allowance.
#[derive(Debug)]
pub(crate) struct Allowance {
    each_second: usize,
    second: Option<Instant>,
    left: usize,
}

impl Allowance {
    /// So much in each second.
    pub(crate) fn new(each_second: usize) -> Self {
        Self { each_second, second: None, left: 0 }
    }

    /// Takes up to this much, and says how much there was.
    pub(crate) fn take(&mut self, wanted: usize, now: Instant) -> usize {
        if self.second.is_none_or(|second| now.saturating_duration_since(second) >= Duration::from_secs(1)) {
            (self.second, self.left) = (Some(now), self.each_second);
        }
        let taken = wanted.min(self.left);
        self.left -= taken;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use palisade_contract::{Clock, SystemClock};

    #[test]
    fn no_second_gives_more_than_its_share() {
        let mut allowance = Allowance::new(100);
        let start = SystemClock.now();
        let taken = |allowance: &mut Allowance, at| (0..500).map(|_| allowance.take(2, at)).sum::<usize>();
        assert_eq!(taken(&mut allowance, start), 100);
        assert_eq!(taken(&mut allowance, start + Duration::from_millis(999)), 0);
        assert_eq!(taken(&mut allowance, start + Duration::from_secs(1)), 100);
        assert_eq!(taken(&mut allowance, start + Duration::from_secs(100)), 100);
    }
}
