//! Times that an endpoint took, and the time between them, in; the one latency that balancers are told, out.
//!
//! A peak-sensitive exponentially weighted moving average, as Twitter's Finagle has it (`PeakEwma`): a rise is followed at
//! once, a fall by the time that has passed, whatever the number of requests. While nothing is heard of an endpoint its
//! latency falls as well, so that one which was slow is tried again. There is no clock here: milliseconds are handed in.

/// How long it takes until what was heard counts for 1/e of what it did.
pub const TIME_CONSTANT_MILLIS: u16 = 10_000;

/// The latency of one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PeakEwma {
    /// Zero while unknown.
    micros: f32,
    /// When it was heard of last. Wraps around.
    at_millis: u32,
}

impl PeakEwma {
    /// What is known after it has taken so long.
    #[must_use]
    pub fn observed(self, took_micros: u32, now_millis: u32) -> Self {
        let took = float(took_micros.max(1));
        let weight = remaining(self.since(now_millis));
        let micros = if took >= self.micros { took } else { self.micros * weight + took * (1.0 - weight) };
        // A sample that another worker has taken later is not followed by an earlier time.
        let is_earlier = self.micros > 0.0 && self.since(now_millis) == 0;
        Self { micros, at_millis: if is_earlier { self.at_millis } else { now_millis } }
    }

    /// The latency now in microseconds: zero while unknown, else at least one.
    #[must_use]
    pub fn micros(self, now_millis: u32) -> u32 {
        if self.micros <= 0.0 {
            return 0;
        }
        whole(self.micros * remaining(self.since(now_millis))).max(1)
    }

    /// As one word, for an atomic.
    #[must_use]
    pub fn to_word(self) -> u64 {
        u64::from(self.micros.to_bits()) << 32 | u64::from(self.at_millis)
    }

    /// What [`PeakEwma::to_word`] gave. Zero is the unknown.
    #[must_use]
    pub fn from_word(word: u64) -> Self {
        let half = |half: u64| u32::try_from(half & u64::from(u32::MAX)).unwrap_or_default();
        Self { micros: f32::from_bits(half(word >> 32)), at_millis: half(word) }
    }

    /// Milliseconds since it was heard of; zero where that is still to come, as clocks of workers see it.
    fn since(self, now_millis: u32) -> u32 {
        let since = now_millis.wrapping_sub(self.at_millis);
        if since > u32::MAX / 2 { 0 } else { since }
    }
}

/// The share that is left after so long.
fn remaining(millis: u32) -> f32 {
    let times = float(millis) / f32::from(TIME_CONSTANT_MILLIS);
    // Short times are the rule, and their exponential is a straight line.
    if times < 0.01 { 1.0 - times } else { (-times).exp() }
}

#[expect(clippy::cast_precision_loss, reason = "an average has no more than 24 bits that mean something")]
fn float(number: u32) -> f32 {
    number as f32
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and is never below zero")]
fn whole(number: f32) -> u32 {
    number as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_known_at_first_and_then_never_less_than_a_microsecond() {
        assert_eq!(PeakEwma::default().micros(5), 0);
        assert_eq!(PeakEwma::default().observed(0, 5).micros(5), 1);
        assert_eq!(PeakEwma::default().observed(800, 0).micros(600_000), 1);
    }

    #[test]
    fn a_rise_is_followed_at_once_and_a_fall_with_the_time() {
        let known = PeakEwma::default().observed(1_000, 0);
        assert_eq!(known.observed(50_000, 1).micros(1), 50_000);
        let at_once = known.observed(0, 0);
        assert_eq!(at_once.micros(0), 1_000, "no time has passed");
        let later = known.observed(200, 10_000).micros(10_000);
        assert!((492..=496).contains(&later), "200 and 800/e are 494: {later}");
    }

    #[test]
    fn the_number_of_samples_does_not_matter() {
        let falling = |every: u32| {
            let known = PeakEwma::default().observed(100_000, 0);
            (1..=10_000 / every).fold(known, |known, step| known.observed(1_000, step * every)).micros(10_000)
        };
        let (often, seldom) = (falling(1), falling(100));
        assert!(often.abs_diff(seldom) <= seldom / 50, "{often} {seldom}");
        assert!(often.abs_diff(1_000 + 36_420) < 800, "99,000/e above the new latency: {often}");
    }

    #[test]
    fn without_samples_it_falls_so_that_it_is_tried_again() {
        let known = PeakEwma::default().observed(100_000, 7);
        assert_eq!(known.micros(7), 100_000);
        assert!((36_700..36_900).contains(&known.micros(10_007)));
        assert!(known.micros(30_007) < 5_000);
    }

    #[test]
    fn clocks_that_wrap_or_differ_a_little_do_no_harm() {
        let known = PeakEwma::default().observed(100_000, u32::MAX - 4_999);
        assert!((36_700..36_900).contains(&known.micros(5_000)), "{}", known.micros(5_000));
        assert_eq!(known.micros(u32::MAX - 6_000), 100_000, "a worker whose time is a little behind");
        assert_eq!(known.observed(5, u32::MAX - 6_000), known);
        assert_eq!(PeakEwma::from_word(known.to_word()), known);
        assert_eq!(PeakEwma::from_word(0), PeakEwma::default());
    }
}
