//! What happens at one endpoint of an upstream, counted.

use metrics::{Counter, Gauge};
use palisade_contract::{EndpointMonitor, UpstreamFault};

use crate::listener::count;
use crate::{Registry, catalogue};

/// The counters of one endpoint, each resolved once: eleven series.
#[derive(Debug)]
pub(crate) struct EndpointMeters {
    connections: Gauge,
    requests: Counter,
    failures: [Counter; UpstreamFault::ALL.len()],
    fallbacks: Counter,
}

impl EndpointMeters {
    pub(crate) fn new(registry: &Registry, upstream: &str, endpoint: &str) -> Self {
        let (upstream, endpoint) = (("upstream", upstream), ("endpoint", endpoint));
        let failed = |why: UpstreamFault| {
            registry.counter(&catalogue::UPSTREAM_FAILURES_TOTAL, &[upstream, endpoint, ("reason", why.as_str())])
        };
        Self {
            connections: registry.gauge(&catalogue::UPSTREAM_CONNECTIONS, &[upstream, endpoint]),
            requests: registry.counter(&catalogue::UPSTREAM_REQUESTS_TOTAL, &[upstream, endpoint]),
            failures: UpstreamFault::ALL.map(failed),
            fallbacks: registry.counter(&catalogue::UPSTREAM_FALLBACK_PICKS_TOTAL, &[upstream, endpoint]),
        }
    }
}

impl EndpointMonitor for EndpointMeters {
    fn connected(&self) {
        self.connections.increment(1.0);
    }

    fn disconnected(&self) {
        self.connections.decrement(1.0);
    }

    fn asked(&self) {
        self.requests.increment(1);
    }

    fn failed(&self, why: UpstreamFault) {
        count(&self.failures, why as usize);
    }

    fn stood_in(&self) {
        self.fallbacks.increment(1);
    }
}
