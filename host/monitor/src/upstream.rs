//! What happens at one upstream as a whole, counted.

use metrics::{Counter, Gauge};
use palisade_contract::{CircuitRefusal, CircuitState, Hedged, Mirrored, RetryReason, UpstreamMonitor};

use crate::listener::count;
use crate::{Registry, catalogue};

/// The counters of one upstream, each resolved once: nineteen series.
#[derive(Debug)]
pub(crate) struct UpstreamMeters {
    retries: [Counter; RetryReason::ALL.len()],
    exhausted: Counter,
    refused: [Counter; CircuitRefusal::ALL.len()],
    circuit: Gauge,
    hedges: [Counter; Hedged::ALL.len()],
    mirrored: [Counter; Mirrored::ALL.len()],
}

impl UpstreamMeters {
    pub(crate) fn new(registry: &Registry, upstream: &str) -> Self {
        let upstream = ("upstream", upstream);
        let retried = |why: RetryReason| {
            registry.counter(&catalogue::UPSTREAM_RETRIES_TOTAL, &[upstream, ("reason", why.as_str())])
        };
        let refused = |why: CircuitRefusal| {
            registry.counter(&catalogue::UPSTREAM_CIRCUIT_REFUSALS_TOTAL, &[upstream, ("reason", why.as_str())])
        };
        let hedged =
            |what: Hedged| registry.counter(&catalogue::UPSTREAM_HEDGES_TOTAL, &[upstream, ("result", what.as_str())]);
        let mirrored = |what: Mirrored| {
            registry.counter(&catalogue::UPSTREAM_MIRRORED_TOTAL, &[upstream, ("result", what.as_str())])
        };
        Self {
            retries: RetryReason::ALL.map(retried),
            exhausted: registry.counter(&catalogue::UPSTREAM_RETRY_BUDGET_EXHAUSTED_TOTAL, &[upstream]),
            refused: CircuitRefusal::ALL.map(refused),
            circuit: registry.gauge(&catalogue::UPSTREAM_CIRCUIT, &[upstream]),
            hedges: Hedged::ALL.map(hedged),
            mirrored: Mirrored::ALL.map(mirrored),
        }
    }
}

impl UpstreamMonitor for UpstreamMeters {
    fn retried(&self, why: RetryReason) {
        count(&self.retries, why as usize);
    }

    fn budget_exhausted(&self) {
        self.exhausted.increment(1);
    }

    fn circuit_refused(&self, why: CircuitRefusal) {
        count(&self.refused, why as usize);
    }

    fn circuit_is(&self, state: CircuitState) {
        self.circuit.set(match state {
            CircuitState::Closed => 0.0,
            CircuitState::HalfOpen => 1.0,
            CircuitState::Open => 2.0,
        });
    }

    fn hedged(&self, what: Hedged) {
        count(&self.hedges, what as usize);
    }

    fn mirrored(&self, what: Mirrored) {
        count(&self.mirrored, what as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variants_number_is_its_place() {
        check(&RetryReason::ALL, |one| one as usize);
        check(&CircuitRefusal::ALL, |one| one as usize);
        check(&Hedged::ALL, |one| one as usize);
        check(&Mirrored::ALL, |one| one as usize);
    }

    fn check<T: Copy>(all: &[T], number: fn(T) -> usize) {
        let numbers: Vec<usize> = all.iter().map(|one| number(*one)).collect();
        assert_eq!(numbers, (0..all.len()).collect::<Vec<_>>());
    }
}
