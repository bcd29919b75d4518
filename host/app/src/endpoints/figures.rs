//! What the proxy knows of its endpoints, as `/endpoints` says it and as `/metrics` does.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use palisade_contract::Health;
use palisade_monitor::EndpointFigures;
use palisade_proxy::SeenEndpoint;
use serde::{Deserialize, Serialize};

use crate::state::State;

/// What `/endpoints` says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Listed {
    pub(super) endpoints: Vec<Entry>,
}

/// One endpoint.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(super) upstream: String,
    pub(super) endpoint: String,
    /// `healthy`, `unhealthy` or `draining`.
    pub(super) state: String,
    /// Why it is not healthy.
    pub(super) reason: Option<String>,
    /// Seconds since 1970.
    pub(super) since: f64,
    pub(super) weight: u32,
    /// The share of its weight that it takes.
    pub(super) share: f64,
    pub(super) in_flight: u32,
    pub(super) failures_in_a_row: u32,
    pub(super) ejections: u64,
    pub(super) last_minute: LastMinute,
}

/// What came of the requests of the last minute.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LastMinute {
    pub(super) requests_per_second: f64,
    pub(super) answered: u32,
    pub(super) failed: u32,
    /// Milliseconds until the answer's head, for half, nine of ten and ninety-nine of a hundred.
    pub(super) p50_ms: Option<f64>,
    pub(super) p90_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
}

/// Every endpoint of every upstream.
pub(crate) fn list(state: &State) -> Listed {
    Listed { endpoints: state.proxy.endpoints().iter().map(entry).collect() }
}

fn entry(seen: &SeenEndpoint) -> Entry {
    let [p50_ms, p90_ms, p99_ms] = seen.latency.map(|latency| latency.map(milliseconds));
    let requests = f64::from(seen.answered) + f64::from(seen.failed);
    Entry {
        upstream: seen.upstream.clone(),
        endpoint: seen.address.to_string(),
        state: word(seen.standing.health).to_owned(),
        reason: seen.standing.reason.as_deref().map(str::to_owned),
        since: (seconds(seen.standing.since) * 1_000.0).round() / 1_000.0,
        weight: seen.weight,
        share: f64::from(seen.share_permille) / 1_000.0,
        in_flight: seen.in_flight,
        failures_in_a_row: seen.failures,
        ejections: seen.ejections,
        last_minute: LastMinute {
            requests_per_second: rounded(requests / seen.over.as_secs_f64().max(1.0)),
            answered: seen.answered,
            failed: seen.failed,
            p50_ms,
            p90_ms,
            p99_ms,
        },
    }
}

/// The figures of every endpoint, for the metrics.
pub(crate) fn for_metrics(state: &State) -> Vec<EndpointFigures> {
    let of = |seen: SeenEndpoint| EndpointFigures {
        endpoint: seen.address.to_string(),
        is_up: seen.standing.health == Health::Healthy,
        is_draining: seen.standing.health == Health::Draining,
        since_seconds: seconds(seen.standing.since),
        in_flight: seen.in_flight,
        ejections: seen.ejections,
        latency: seen.latency,
        upstream: seen.upstream,
    };
    state.proxy.endpoints().into_iter().map(of).collect()
}

fn word(health: Health) -> &'static str {
    match health {
        Health::Healthy => "healthy",
        Health::Unhealthy => "unhealthy",
        Health::Draining => "draining",
        // Never by itself: it is what a balancer is told beside others.
        Health::Reserve => "reserve",
    }
}

fn seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn milliseconds(time: Duration) -> f64 {
    rounded(time.as_secs_f64() * 1_000.0)
}

/// To the hundredth.
fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
