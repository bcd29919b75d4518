//! What a call that went wrong is called, and how often it is said.

use std::time::{Duration, Instant};

use palisade_contract::Failure;
use wasmtime::Trap;

use crate::limits::Refused;
use crate::state::State;

/// Names what ended a guest's call.
pub(crate) fn of(error: &wasmtime::Error, state: &mut State, deadline: Duration, memory_bytes_max: usize) -> Failure {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => return Failure::Deadline(u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX)),
        Some(Trap::StackOverflow) => return Failure::Stack,
        Some(_) | None => {}
    }
    match state.limiter.refused() {
        Some(Refused::Limit) => return Failure::Memory(memory_bytes_max),
        Some(Refused::Budget) => {
            let max = state.limiter.budget().max();
            return Failure::Unavailable(format!("all plugins together may have {max} bytes of memory, and have them"));
        }
        None => {}
    }
    let cause = error.root_cause().to_string();
    Failure::Trap(match state.fault.take() {
        // The panic hook of the SDK reports where, before the trap.
        Some(reported) => format!("{reported} ({cause})"),
        None => cause,
    })
}

/// Whether the instance can be called again after this failure.
pub(crate) fn spares_the_instance(failure: &Failure) -> bool {
    match failure {
        Failure::Reported(_) | Failure::Absurd(_) => true,
        Failure::Trap(_) | Failure::Deadline(_) | Failure::Memory(_) | Failure::Stack | Failure::Unavailable(_) => {
            false
        }
    }
}

/// Says a failure in the log at most once a second, with how many there were in between.
#[derive(Debug, Default)]
pub(crate) struct FailureLog {
    last: Option<Instant>,
    unsaid: u64,
}

impl FailureLog {
    pub(crate) fn write(&mut self, plugin: &str, phase: &'static str, failure: &Failure, now: Instant) {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < Duration::from_secs(1)) {
            self.unsaid += 1;
            return;
        }
        tracing::warn!(plugin, phase, reason = %failure, unsaid_before = self.unsaid, "plugin failed");
        (self.last, self.unsaid) = (Some(now), 0);
    }
}
