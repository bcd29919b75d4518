//! A monitor that hears of nothing, for tests of those who report.

use std::sync::Arc;

use crate::shadow::{Disagreement, Opinion};
use crate::{
    Access, CircuitRefusal, CircuitState, EndpointMonitor, Hedged, ListenerMonitor, Mirrored, Monitor, Phase, Phases,
    Refusal, RetryReason, ShadowMonitor, UpstreamFault, UpstreamMonitor,
};

/// Takes every report, and keeps none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deaf;

impl Monitor for Deaf {
    fn listener(&self, _: &str) -> Arc<dyn ListenerMonitor> {
        Arc::new(Self)
    }

    fn upstream(&self, _: &str) -> Arc<dyn UpstreamMonitor> {
        Arc::new(Self)
    }

    fn endpoint(&self, _: &str, _: &str) -> Arc<dyn EndpointMonitor> {
        Arc::new(Self)
    }

    fn shadow(&self, _: &str, _: Phases) -> Arc<dyn ShadowMonitor> {
        Arc::new(Self)
    }
}

impl ListenerMonitor for Deaf {
    fn connection_opened(&self) {}

    fn connection_closed(&self) {}

    fn connection_refused(&self, _: Refusal) {}

    fn exchange_begun(&self) {}

    fn exchange_ended(&self, _: &Access<'_>) {}
}

impl UpstreamMonitor for Deaf {
    fn retried(&self, _: RetryReason) {}

    fn budget_exhausted(&self) {}

    fn circuit_refused(&self, _: CircuitRefusal) {}

    fn circuit_is(&self, _: CircuitState) {}

    fn hedged(&self, _: Hedged) {}

    fn mirrored(&self, _: Mirrored) {}
}

impl EndpointMonitor for Deaf {
    fn connected(&self) {}

    fn disconnected(&self) {}

    fn asked(&self) {}

    fn failed(&self, _: UpstreamFault) {}

    fn stood_in(&self) {}
}

impl ShadowMonitor for Deaf {
    fn would(&self, _: Phase, _: Opinion) {}

    fn disagreed(&self, _: &Disagreement<'_>) {}
}
