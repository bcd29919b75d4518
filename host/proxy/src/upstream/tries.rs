//! What became of a request in, whether it goes out once more, where and when, out.

use std::time::Duration;

use http::StatusCode;
use palisade_config::{Retries, RetryOn};
use palisade_contract::{Name, Outcome, RetryReason};

use crate::upstream::pick::Random;

/// What became of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Miss {
    /// There is no connection, or it has ended before anything was sent.
    Connect,
    /// There is no connection in time.
    ConnectTimeout,
    /// The connection ended, or the stream was reset.
    Reset,
    /// The endpoint says that it did nothing with the request.
    Refused,
    /// The answer's head did not come in time.
    Timeout,
    /// The answer has this status.
    Status(StatusCode),
    /// Whatever else: another try would be no better.
    Final,
}

impl Miss {
    /// As metrics name it.
    pub(crate) fn reason(self) -> Option<RetryReason> {
        Some(match self {
            Self::Connect | Self::ConnectTimeout => RetryReason::Connect,
            Self::Reset => RetryReason::Reset,
            Self::Refused => RetryReason::Refused,
            Self::Timeout => RetryReason::Timeout,
            Self::Status(_) => RetryReason::Status,
            Self::Final => return None,
        })
    }

    /// As balancers are told of it.
    fn outcome(self) -> Outcome {
        match self {
            Self::Connect => Outcome::ConnectFailed,
            Self::ConnectTimeout | Self::Timeout => Outcome::TimedOut,
            Self::Reset | Self::Refused | Self::Final => Outcome::Reset,
            Self::Status(_) => Outcome::BadStatus,
        }
    }

    /// Whether an endpoint can have done something for the request.
    fn may_have_been_done(self) -> bool {
        match self {
            Self::Connect | Self::ConnectTimeout | Self::Refused => false,
            Self::Reset | Self::Timeout | Self::Status(_) | Self::Final => true,
        }
    }

    /// Whether an endpoint was given the request: then another try is load that nobody asked for.
    pub(crate) fn costs(self) -> bool {
        !matches!(self, Self::Connect | Self::ConnectTimeout)
    }

    fn is_wanted(self, on: &RetryOn) -> bool {
        match self {
            Self::Connect | Self::ConnectTimeout => on.connect,
            Self::Reset => on.reset,
            Self::Refused => on.refused,
            Self::Timeout => on.timeout,
            Self::Status(status) => on.statuses.contains(&status.as_u16()),
            Self::Final => false,
        }
    }
}

/// Whether a request goes out once more after this miss, as far as the configuration and the request itself say: nothing that may
/// have been done is done again, unless that does no harm (RFC 9110, section 9.2.2).
pub(crate) fn may_repeat(retries: &Retries, miss: Miss, is_idempotent: bool) -> bool {
    miss.is_wanted(&retries.on) && (is_idempotent || !miss.may_have_been_done())
}

/// The tries of one exchange that have missed.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    /// The endpoints, by their names, and what became of each.
    outcomes: Vec<(Name, Outcome)>,
    costs: bool,
}

impl Tries {
    /// As balancers are told of them.
    pub(crate) fn outcomes(&self) -> &[(Name, Outcome)] {
        &self.outcomes
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.outcomes.len()).unwrap_or(u32::MAX)
    }

    /// One more.
    pub(crate) fn missed(&mut self, endpoint: Name, miss: Miss) {
        self.costs = miss.costs();
        self.outcomes.push((endpoint, miss.outcome()));
    }

    /// Whether the last one was given to an endpoint.
    pub(crate) fn costs(&self) -> bool {
        self.costs
    }

    /// Whether this endpoint was tried.
    pub(crate) fn has(&self, endpoint: Name) -> bool {
        self.outcomes.iter().any(|(tried, _)| *tried == endpoint)
    }
}

/// How long to wait before the next try, after so many: between half and all of a time that doubles, so that those who failed
/// together do not come back together.
pub(crate) fn pause(retries: &Retries, tries: u32, random: &Random) -> Duration {
    let doubled = retries.backoff.saturating_mul(1_u32 << tries.saturating_sub(1).min(16));
    let longest = doubled.min(retries.backoff_max);
    let half = longest / 2;
    let micros = u64::try_from(half.as_micros()).unwrap_or(u64::MAX);
    half + Duration::from_micros(random.below(micros.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MISSES: [Miss; 7] = [
        Miss::Connect,
        Miss::ConnectTimeout,
        Miss::Reset,
        Miss::Refused,
        Miss::Timeout,
        Miss::Status(StatusCode::SERVICE_UNAVAILABLE),
        Miss::Final,
    ];

    #[test]
    fn nothing_that_may_have_been_done_is_done_again() {
        let on = RetryOn { connect: true, reset: true, refused: true, timeout: true, statuses: vec![503] };
        let retries = Retries { on, ..Retries::default() };
        let repeats = |is_idempotent| MISSES.map(|miss| may_repeat(&retries, miss, is_idempotent));
        assert_eq!(repeats(false), [true, true, false, true, false, false, false]);
        assert_eq!(repeats(true), [true, true, true, true, true, true, false]);
    }

    #[test]
    fn nothing_is_done_again_that_is_not_wanted() {
        let on = RetryOn { connect: false, reset: false, refused: false, timeout: false, statuses: vec![502] };
        let retries = Retries { on, ..Retries::default() };
        assert!(MISSES.iter().all(|miss| !may_repeat(&retries, *miss, true)));
        let repeats = MISSES.map(|miss| may_repeat(&Retries::default(), miss, true));
        assert_eq!(repeats, [true, true, true, true, false, false, false], "what is not configured");
    }

    #[test]
    fn pauses_double_up_to_their_limit_and_differ() {
        let retries = Retries::default();
        let random = Random::new();
        for (tries, least, most) in [(1, 12, 25), (2, 25, 50), (3, 50, 100), (5, 125, 250), (40, 125, 250)] {
            let pauses: Vec<Duration> = (0..100).map(|_| pause(&retries, tries, &random)).collect();
            let fits = |pause: &Duration| (Duration::from_millis(least)..=Duration::from_millis(most)).contains(pause);
            assert!(pauses.iter().all(fits), "{tries}: {pauses:?}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{tries}");
        }
    }
}
