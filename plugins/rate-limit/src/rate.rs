//! A limit's arithmetic: what is counted so far and the time in; whether one more may pass, and what is counted then, out.
//!
//! All that is known of a client is one number, so that one compare-and-set counts a request. Two ways:
//!
//! - a **window** begins with a client's first request and has so many of them; the number is its beginning and how many
//!   it had;
//! - a **bucket** holds so many and is refilled steadily; the number is the moment at which it will be full again (GCRA,
//!   the theoretical arrival time of ITU-T I.371).
//!
//! A number of zero, which is also what was forgotten, is a client that never asked. Time is the wall clock's, because hosts
//! may share a store: a clock that was set back does not lock anybody out for longer than a period.

use std::time::Duration;

/// How many requests, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rate {
    /// So many in a period that begins with the first of them.
    Window {
        /// At most [`REQUESTS_MAX`].
        requests: u32,
        period: Duration,
    },
    /// So many at once, and one more after each interval.
    Bucket { burst: u32, interval: Duration },
}

/// How a client stands with a limit after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// How long to wait, if this request is refused.
    pub(crate) wait: Option<Duration>,
    /// Requests that could come at once now.
    pub(crate) left: u32,
    /// When all of them could again.
    pub(crate) full_in: Duration,
}

/// What a request comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) standing: Standing,
    /// What is counted then; none for a request that is refused, which changes nothing.
    pub(crate) next: Option<i64>,
}

/// What a window can count up to.
pub(crate) const REQUESTS_MAX: u32 = 1_000_000;

/// How long an empty bucket may take to be full again.
pub(crate) const FILL_MAX: Duration = Duration::from_secs(7 * 86_400);

impl Rate {
    /// One more request at this time, since 1970.
    pub(crate) fn step(self, counted: i64, now: Duration) -> Step {
        match self {
            Self::Window { requests, period } => in_window(requests, period, (counted, now)),
            Self::Bucket { burst, interval } => in_bucket(burst, interval, (counted, now)),
        }
    }

    /// How many may come at once.
    pub(crate) fn quota(self) -> u32 {
        match self {
            Self::Window { requests, .. } => requests,
            Self::Bucket { burst, .. } => burst,
        }
    }

    /// How long until that many may come again.
    pub(crate) fn window(self) -> Duration {
        match self {
            Self::Window { period, .. } => period,
            Self::Bucket { burst, interval } => interval.saturating_mul(burst),
        }
    }
}

fn in_window(requests: u32, period: Duration, (counted, now): (i64, Duration)) -> Step {
    let (began, had) = unpack(counted);
    // Another worker may have looked at the clock a little later than this one.
    let is_open = counted != 0 && now < began.saturating_add(period) && began < now.saturating_add(period);
    let (began, had) = if is_open { (began, had) } else { (now, 0) };
    let ends_in = began.saturating_add(period).saturating_sub(now);
    if had >= requests {
        return Step { standing: Standing { wait: Some(ends_in), left: 0, full_in: ends_in }, next: None };
    }
    let standing = Standing { wait: None, left: requests - had - 1, full_in: ends_in };
    Step { standing, next: Some(pack(began, had + 1)) }
}

fn in_bucket(burst: u32, interval: Duration, (counted, now): (i64, Duration)) -> Step {
    let whole = interval.saturating_mul(burst);
    let full_at = Duration::from_nanos(u64::try_from(counted).unwrap_or_default());
    // No bucket takes longer to fill than an empty one: a clock was set back.
    let full_at = full_at.clamp(now, now.saturating_add(whole));
    let after = full_at.saturating_add(interval).saturating_sub(now);
    if let Some(wait) = after.checked_sub(whole).filter(|wait| !wait.is_zero()) {
        return Step {
            standing: Standing { wait: Some(wait), left: 0, full_in: full_at.saturating_sub(now) },
            next: None,
        };
    }
    let left = whole.saturating_sub(after).as_nanos().checked_div(interval.as_nanos()).unwrap_or_default();
    let standing = Standing { wait: None, left: u32::try_from(left).unwrap_or(u32::MAX), full_in: after };
    Step { standing, next: i64::try_from(now.saturating_add(after).as_nanos()).ok() }
}

/// A window's beginning in milliseconds since 2025 (40 bits: until 2059), and how many requests it had (23 bits).
fn pack(began: Duration, had: u32) -> i64 {
    let millis = i64::try_from(began.saturating_sub(EPOCH).as_millis()).unwrap_or_default();
    (millis & MILLIS) << HAD_BITS | i64::from(had)
}

fn unpack(counted: i64) -> (Duration, u32) {
    let millis = u64::try_from(counted >> HAD_BITS).unwrap_or_default();
    let had = u32::try_from(counted & HAD).unwrap_or(u32::MAX);
    (EPOCH.saturating_add(Duration::from_millis(millis)), had)
}

const HAD_BITS: u32 = 23;
const HAD: i64 = (1 << HAD_BITS) - 1;
const MILLIS: i64 = (1 << 40) - 1;

/// 2025-01-01T00:00:00Z.
const EPOCH: Duration = Duration::from_secs(1_735_689_600);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Duration = Duration::from_secs(1_767_225_600);

    /// Passes requests at these milliseconds through; gives which passed, what was left, and the seconds to wait or to the
    /// end.
    fn passes(rate: Rate, at: &[u64]) -> Vec<(bool, u32, Duration)> {
        let mut counted = 0;
        let mut pass = |at: &u64| {
            let step = rate.step(counted, NOW + Duration::from_millis(*at));
            counted = step.next.unwrap_or(counted);
            let Standing { wait, left, full_in } = step.standing;
            (wait.is_none(), left, wait.unwrap_or(full_in))
        };
        at.iter().map(&mut pass).collect()
    }

    fn seconds(tenths: u64) -> Duration {
        Duration::from_millis(tenths * 100)
    }

    #[test]
    fn a_window_begins_with_the_first_request_and_has_so_many() {
        let rate = Rate::Window { requests: 2, period: seconds(100) };
        assert_eq!(
            passes(rate, &[0, 4_000, 9_900, 10_000, 10_100]),
            [
                (true, 1, seconds(100)),
                (true, 0, seconds(60)),
                (false, 0, seconds(1)),
                (true, 1, seconds(100)),
                (true, 0, seconds(99)),
            ]
        );
        assert_eq!((rate.quota(), rate.window()), (2, seconds(100)));
    }

    #[test]
    fn a_bucket_has_a_burst_and_is_refilled_steadily() {
        let rate = Rate::Bucket { burst: 3, interval: seconds(10) };
        assert_eq!(
            passes(rate, &[0, 0, 0, 0, 500, 1_000, 1_000, 60_000]),
            [
                (true, 2, seconds(10)),
                (true, 1, seconds(20)),
                (true, 0, seconds(30)),
                (false, 0, seconds(10)),
                (false, 0, seconds(5)),
                (true, 0, seconds(30)),
                (false, 0, seconds(10)),
                (true, 2, seconds(10)),
            ]
        );
        assert_eq!((rate.quota(), rate.window()), (3, seconds(30)));
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out_for_longer_than_a_period() {
        for rate in
            [Rate::Window { requests: 1, period: seconds(100) }, Rate::Bucket { burst: 1, interval: seconds(100) }]
        {
            let counted = rate.step(0, NOW + Duration::from_secs(86_400)).next.unwrap();
            let step = rate.step(counted, NOW);
            assert!(step.standing.wait.is_none_or(|wait| wait <= seconds(100)), "{rate:?} {step:?}");
        }
    }

    #[test]
    fn a_worker_whose_clock_is_behind_counts_in_the_same_window() {
        let rate = Rate::Window { requests: 10, period: seconds(100) };
        let counted = rate.step(0, NOW + Duration::from_millis(3)).next.unwrap();
        assert_eq!(rate.step(counted, NOW).standing.left, 8);
    }

    #[test]
    fn what_the_other_way_has_counted_is_no_client_that_waits() {
        let (window, bucket) =
            (Rate::Window { requests: 1, period: seconds(100) }, Rate::Bucket { burst: 1, interval: seconds(100) });
        for (one, other) in [(window, bucket), (bucket, window)] {
            let counted = one.step(0, NOW).next.unwrap();
            assert_eq!(other.step(counted, NOW).standing.wait, None);
        }
    }

    fn rates() -> impl Strategy<Value = Rate> {
        prop_oneof![
            (1..50_u32, 1..100_u64).prop_map(|(requests, s)| Rate::Window { requests, period: Duration::from_secs(s) }),
            (1..50_u32, 1..5_000_u64)
                .prop_map(|(burst, ms)| Rate::Bucket { burst, interval: Duration::from_millis(ms) }),
        ]
    }

    proptest! {
        /// In any stretch of time as long as the window, never more than twice the quota; and whoever waits as told passes.
        #[test]
        fn no_more_pass_than_may_and_whoever_waits_passes(rate in rates(), gaps in prop::collection::vec(0..3_000_u64, 1..300)) {
            let (mut counted, mut now, mut passed) = (0, NOW, Vec::new());
            for gap in gaps {
                now += Duration::from_millis(gap);
                let step = rate.step(counted, now);
                match step.standing.wait {
                    None => passed.push(now),
                    Some(wait) => {
                        prop_assert!(!wait.is_zero() && wait <= rate.window());
                        prop_assert_eq!(rate.step(counted, now + wait).standing.wait, None);
                    }
                }
                counted = step.next.unwrap_or(counted);
            }
            let quota = usize::try_from(rate.quota()).unwrap();
            for (index, end) in passed.iter().enumerate() {
                let within = passed[..=index].iter().filter(|at| **at + rate.window() > *end).count();
                prop_assert!(within <= 2 * quota, "{} in {:?}", within, rate);
            }
        }
    }
}
