//! When an upstream is left alone: too much at a time, or too much of it failing.

use std::time::Duration;

use crate::{duration, text::Value};

/// `circuit` of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circuit {
    /// Requests under way at a time, all workers together; none is no limit. 1 to 1,000,000.
    pub requests: Option<u32>,
    /// Requests that may wait for a connection, all workers together: 0 to 1,000,000.
    pub pending: u32,
    /// How long one may wait.
    pub pending_timeout: Duration,
    /// What share of failures opens it.
    pub error_rate: Option<ErrorRate>,
}

impl Circuit {
    pub(crate) fn read(value: &Value<'_>) -> Option<Self> {
        let mut table = value.table("a circuit")?;
        let requests = table.optional("requests", |value| value.whole(1..=1_000_000));
        let pending = table.or("pending", 0, |value| value.whole(0..=1_000_000));
        let pending_timeout = table.or("pending_timeout", Duration::from_secs(1), duration::timeout);
        let error_rate = table.optional("error_rate", |value| ErrorRate::read(&value));
        table.finish();
        Some(Self { requests, pending, pending_timeout, error_rate })
    }
}

/// What share of failures opens a circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorRate {
    /// The share, in percent: 1 to 100.
    pub percent: u32,
    /// And of at least so many requests: 1 to 1,000,000.
    pub requests: u32,
    /// Of the last so much time: 1 s to 1 h.
    pub window: Duration,
    /// How long nothing is let through then.
    pub open: Duration,
    /// Requests that are let through after that, and have to end well: 1 to 1,000.
    pub trials: u32,
}

impl ErrorRate {
    fn read(value: &Value<'_>) -> Option<Self> {
        let mut table = value.table("an error rate")?;
        let percent = table.required("percent", |value| value.whole(1..=100));
        let requests = table.or("requests", 20, |value| value.whole(1..=1_000_000));
        let window = table.or("window", Duration::from_secs(10), |value| {
            duration::read(&value, Duration::from_secs(1)..=Duration::from_secs(3_600))
        });
        let open = table.or("open", Duration::from_secs(5), duration::timeout);
        let trials = table.or("trials", 3, |value| value.whole(1..=1_000));
        table.finish();
        Some(Self { percent: percent?, requests, window, open, trials })
    }
}
