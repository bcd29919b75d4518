//! When a request is sent again, and how many may be.

use std::time::Duration;

use crate::{
    duration, size,
    text::{Form, Value},
};

/// `retries` of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retries {
    /// Tries after the first: 0 to 10.
    pub attempts: u32,
    /// What a request is sent again for.
    pub on: RetryOn,
    /// Whether an endpoint that was tried may be tried again, where the choice falls on it.
    pub same_endpoint: bool,
    /// After which a try that can be repeated is given up, if that is sooner than the response's timeout.
    pub per_try_timeout: Option<Duration>,
    /// The pause before the first repeat; doubled before each one after it.
    pub backoff: Duration,
    /// The longest pause.
    pub backoff_max: Duration,
    /// How much of a body is kept so that it can be sent again.
    pub body_bytes: usize,
    /// How many of all requests may be sent again.
    pub budget: RetryBudget,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            attempts: 2,
            on: RetryOn::default(),
            same_endpoint: false,
            per_try_timeout: None,
            backoff: Duration::from_millis(25),
            backoff_max: Duration::from_millis(250),
            body_bytes: 0,
            budget: RetryBudget::default(),
        }
    }
}

impl Retries {
    pub(crate) fn read(value: &Value<'_>) -> Option<Self> {
        let default = Self::default();
        let mut table = value.table("retries")?;
        let attempts = table.or("attempts", default.attempts, |value| value.whole(0..=10));
        let on = table.or("on", default.on, |value| RetryOn::read(&value));
        let same_endpoint = table.or("same_endpoint", default.same_endpoint, |value| value.boolean());
        let per_try_timeout = table.optional("per_try_timeout", duration::timeout);
        let backoff = table.or("backoff", default.backoff, pause);
        let backoff_max = table.or("backoff_max", default.backoff_max.max(backoff), pause);
        let body_bytes = table.or("body", BODY_BYTES, |value| size::read(&value, 0..=BODY_BYTES_MAX));
        let budget = table.or("budget", default.budget, |value| RetryBudget::read(&value));
        table.finish();
        Some(Self { attempts, on, same_endpoint, per_try_timeout, backoff, backoff_max, body_bytes, budget })
    }
}

/// A pause of 1 ms to 10 s.
fn pause(value: Value<'_>) -> Option<Duration> {
    duration::read(&value, Duration::from_millis(1)..=Duration::from_secs(10))
}

/// What is kept where retries are written and this is not.
const BODY_BYTES: usize = 64 << 10;
const BODY_BYTES_MAX: u64 = 16 << 20;

/// What a request is sent again for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryOn {
    /// No connection could be made: nothing of the request was sent.
    pub connect: bool,
    /// The connection ended before the answer's head.
    pub reset: bool,
    /// The endpoint says that it did nothing with the request.
    pub refused: bool,
    /// The answer's head did not come in time.
    pub timeout: bool,
    /// Statuses of answers that another endpoint may do better than.
    pub statuses: Vec<u16>,
}

const TOO_EARLY: u16 = 425;

impl Default for RetryOn {
    fn default() -> Self {
        Self { connect: true, reset: true, refused: true, timeout: false, statuses: Vec::new() }
    }
}

impl RetryOn {
    fn read(value: &Value<'_>) -> Option<Self> {
        let elements = value.list(REASONS)?;
        let mut on = Self { connect: false, reset: false, refused: false, timeout: false, statuses: Vec::new() };
        for element in elements {
            match element.text(REASON)? {
                "connect" => on.connect = true,
                "reset" => on.reset = true,
                "refused" => on.refused = true,
                "timeout" => on.timeout = true,
                status => match status.parse().ok().filter(|status| (400..=599).contains(status)) {
                    // RFC 8470, section 5.2.
                    Some(TOO_EARLY) => {
                        return element.refuse("425 is for the client, which knows when its handshake is done");
                    }
                    Some(status) => on.statuses.push(status),
                    None => return element.is_not(REASON),
                },
            }
        }
        on.statuses.sort_unstable();
        on.statuses.dedup();
        Some(on)
    }
}

/// How many of all requests may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryBudget {
    /// Of the requests of the last 10 s, in percent: 0 to 100.
    pub percent: u32,
    /// And so many a second, over the same time: 0 to 1,000.
    pub minimum: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { percent: 20, minimum: 3 }
    }
}

impl RetryBudget {
    fn read(value: &Value<'_>) -> Option<Self> {
        let default = Self::default();
        let mut table = value.table("a budget")?;
        let percent = table.or("percent", default.percent, |value| value.whole(0..=100));
        let minimum = table.or("minimum", default.minimum, |value| value.whole(0..=1_000));
        table.finish();
        Some(Self { percent, minimum })
    }
}

const REASONS: Form = Form { noun: "a list", expected: "reasons, such as [\"connect\", \"reset\", \"503\"]" };
const REASON: Form = Form {
    noun: "a reason to retry",
    expected: "\"connect\", \"reset\", \"refused\", \"timeout\" or a status of 400 to 599, such as \"503\"",
};
