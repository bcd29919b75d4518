//! What a balancer is told of an upstream's endpoints, and what it answers.

use crate::Name;

/// What an endpoint is asked for, beside the exchange itself.
#[derive(Debug, Clone, Copy)]
pub struct PickRequest {
    /// The upstream.
    pub upstream: Name,
    /// Changes whenever endpoints, weights, zones or health change.
    pub version: u64,
    /// Zero the first time, then one more for each retry.
    pub attempt: u32,
}

/// One endpoint as a balancer sees it.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// Its address as text.
    pub endpoint: Name,
    /// A hash of its address, the same on every host.
    pub key: u64,
    /// Relative to the others, at least 1.
    pub weight: u32,
    /// Its zone, or none.
    pub zone: Name,
    /// Its level: zero comes first, and a higher one is a reserve until the levels before have too few healthy ones.
    pub priority: u8,
    /// What health checks say.
    pub health: Health,
    /// What became of it earlier in this exchange.
    pub outcome: Outcome,
    /// Requests under way to it, all workers together.
    pub in_flight: u32,
    /// Peak-sensitive moving average of the time to the first byte in microseconds, by [`PeakEwma`](crate::PeakEwma); zero
    /// while unknown.
    pub latency_micros: u32,
    /// Consecutive failures.
    pub failures: u32,
    /// Share of its weight that it may take, in thousandths.
    pub slow_start_permille: u16,
}

/// What is known of an endpoint's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// May be chosen.
    Healthy,
    /// Should not be chosen.
    Unhealthy,
    /// Takes no new requests.
    Draining,
    /// Healthy, and not wanted: the levels before its own have enough that are healthy.
    Reserve,
}

/// What became of an endpoint earlier in the same exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Not asked yet.
    Untried,
    /// No connection could be made.
    ConnectFailed,
    /// It did not answer in time.
    TimedOut,
    /// It closed the connection.
    Reset,
    /// Its answer was one to retry on.
    BadStatus,
}

/// A balancer's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// This index of the candidates; it is inside.
    Endpoint(usize),
    /// None of them.
    None,
}
