//! Requests that another upstream gets a copy of: `mirror` of a route.

use crate::{scope::Scope, size, text::Value};

/// `mirror` of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Index into the config's upstreams.
    pub upstream: usize,
    /// Of how many requests, in percent: 0 to 100.
    pub percent: u32,
    /// Copies under way at a time, for each worker: 1 to 10,000.
    pub requests: usize,
    /// The longest body that is copied.
    pub body_bytes: usize,
}

impl Mirror {
    pub(crate) fn read(value: &Value<'_>, scope: &Scope<'_>) -> Option<Self> {
        let mut table = value.table("a mirror")?;
        let upstream = table.required("upstream", |value| scope.upstreams.find(&value));
        let percent = table.or("percent", 100, |value| value.whole(0..=100));
        let requests = table.or("requests", 100, |value| value.whole(1..=10_000));
        let body_bytes = table.or("body", 64 << 10, |value| size::read(&value, 0..=16 << 20));
        table.finish();
        Some(Self { upstream: upstream?, percent, requests, body_bytes })
    }
}
