//! `ejection` of an upstream: when an endpoint is left alone for what came of requests, and for how long.

use std::{ops::RangeInclusive, time::Duration};

use crate::{
    duration,
    health::statuses,
    text::{Form, Value},
};

/// When an endpoint is left alone for what came of requests, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ejection {
    /// Failures one after the other: 1 to 1,000,000, or none.
    pub failures: Option<u32>,
    /// Answers that are failures.
    pub statuses: Vec<RangeInclusive<u16>>,
    /// The share of requests that fail within the window, in percent: 1 to 100.
    pub error_percent: Option<u8>,
    /// How many times longer than its peers' an endpoint's median answer takes: 2 to 1,000.
    pub latency_factor: Option<u32>,
    /// What the share and the median are of: 1 s to 1 h.
    pub window: Duration,
    /// Requests that an endpoint must have had within the window: 1 to 1,000,000.
    pub requests: u32,
    /// How long at first, and twice as long each time after: 100 ms to 24 h.
    pub time: Duration,
    /// How long at most.
    pub time_max: Duration,
    /// The most of the endpoints that may be out when one is ejected, itself included, in percent: 0 to 100.
    pub share_percent: u8,
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            failures: Some(5),
            statuses: vec![502..=504],
            error_percent: None,
            latency_factor: None,
            window: Duration::from_secs(10),
            requests: 20,
            time: Duration::from_secs(30),
            time_max: Duration::from_secs(300),
            share_percent: 50,
        }
    }
}

impl Ejection {
    /// `false` is none at all.
    pub(crate) fn read(value: &Value<'_>) -> Option<Option<Self>> {
        if value.raw().as_bool() == Some(false) {
            return Some(None);
        }
        if !value.raw().is_table() {
            return value.is_not(EJECTION);
        }
        let default = Self::default();
        let mut table = value.table("an ejection")?;
        let failures = table.or("failures", default.failures, |value| match value.raw().as_str() {
            Some("off") => Some(None),
            _ => value.whole(1..=1_000_000).map(Some),
        });
        let statuses = table.or("statuses", default.statuses, |value| statuses(&value));
        let error_percent = table.optional("error_percent", |value| value.whole(1..=100));
        let latency_factor = table.optional("latency_factor", |value| value.whole(2..=1_000));
        let window = table.or("window", default.window, |value| {
            duration::read(&value, Duration::from_secs(1)..=Duration::from_secs(3_600))
        });
        let requests = table.or("requests", default.requests, |value| value.whole(1..=1_000_000));
        let time = table.or("time", default.time, |value| duration::read(&value, TIME));
        let time_max = table.or("time_max", default.time_max.max(time), |value| {
            let time_max = duration::read(&value, TIME)?;
            if time_max < time {
                value.refuse("is shorter than time: expected as much or more")
            } else {
                Some(time_max)
            }
        });
        let share_percent = table.or("share_percent", default.share_percent, |value| value.whole(0..=100));
        table.finish();
        Some(Some(Self {
            failures,
            statuses,
            error_percent,
            latency_factor,
            window,
            requests,
            time,
            time_max,
            share_percent,
        }))
    }
}

const TIME: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(24 * 3_600);
const EJECTION: Form = Form { noun: "an ejection", expected: "false or a table, such as { failures = 5 }" };
