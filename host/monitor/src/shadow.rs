//! What plugins in shadow would have done: counted, and where others did otherwise, logged in samples.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics::Counter;
use palisade_contract::{Clock, Disagreement, Opinion, Phase, Phases, ShadowMonitor, SystemClock};

use crate::escaped::Escaped;
use crate::{Registry, catalogue};

/// Lines about one plugin in one [`WINDOW`].
const SAMPLES_MAX: u32 = 20;
const WINDOW: Duration = Duration::from_secs(60);

/// The counters of one plugin in shadow, each resolved once.
#[derive(Debug)]
pub(crate) struct ShadowMeters {
    plugin: Box<str>,
    /// By phase, then by opinion; none for a phase that the plugin does not have.
    would: [Option<Counters>; Phase::ALL.len()],
    disagreed: [Option<Counters>; Phase::ALL.len()],
    samples: Arc<Samples>,
}

/// By opinion; none for one that the phase cannot have.
type Counters = [Option<Counter>; Opinion::NAMES.len()];

impl ShadowMeters {
    pub(crate) fn new(registry: &Registry, plugin: &str, phases: Phases, samples: Arc<Samples>) -> Self {
        let counters = |metric| {
            Phase::ALL.map(|phase| {
                let labels = |opinion| [("plugin", plugin), ("phase", phase.as_str()), ("decision", opinion)];
                let counter = |opinion| registry.counter(metric, &labels(opinion));
                let known = opinions(phase);
                phases
                    .has(phase)
                    .then(|| Opinion::NAMES.map(|opinion| known.contains(&opinion).then(|| counter(opinion))))
            })
        };
        Self {
            plugin: plugin.into(),
            would: counters(&catalogue::PLUGIN_SHADOW_TOTAL),
            disagreed: counters(&catalogue::PLUGIN_SHADOW_DISAGREEMENTS_TOTAL),
            samples,
        }
    }
}

/// The opinions that a phase can lead to.
fn opinions(phase: Phase) -> &'static [&'static str] {
    match phase {
        Phase::Connection => &["proceed", "close", "failed"],
        Phase::Request | Phase::Response => &["proceed", "reply", "close", "failed", "undecided"],
        Phase::Balance => &["agree", "differ", "failed"],
        Phase::RequestBody | Phase::ResponseBody | Phase::Stream | Phase::Observe | Phase::Tick => &[],
    }
}

fn count(counters: &[Option<Counters>], phase: Phase, opinion: Opinion) {
    let counters = counters.get(phase.index()).and_then(Option::as_ref);
    if let Some(Some(counter)) = counters.and_then(|counters| counters.get(opinion.index())) {
        counter.increment(1);
    }
}

impl ShadowMonitor for ShadowMeters {
    fn would(&self, phase: Phase, opinion: Opinion) {
        count(&self.would, phase, opinion);
    }

    fn disagreed(&self, disagreement: &Disagreement<'_>) {
        count(&self.disagreed, disagreement.phase, disagreement.opinion);
        let Some(unsaid_before) = self.samples.admit(SystemClock.now()) else { return };
        let request = disagreement.request;
        tracing::info!(
            target: "shadow",
            plugin = &*self.plugin,
            phase = disagreement.phase.as_str(),
            would = %disagreement.would,
            enforced = %disagreement.enforced,
            client = %disagreement.client,
            method = request.map(|request| tracing::field::display(Escaped(request.method.as_str().as_bytes()))),
            authority = request.map(|request| tracing::field::display(Escaped(request.authority_bytes()))),
            request_target = request.map(|request| tracing::field::display(Escaped(request.target.as_str().as_bytes()))),
            unsaid_before,
            "a plugin in shadow disagrees"
        );
    }
}

/// How much of one plugin was logged lately, all workers together.
#[derive(Debug, Default)]
pub(crate) struct Samples(Mutex<Lately>);

#[derive(Debug, Default)]
struct Lately {
    window: Option<Instant>,
    said: u32,
    unsaid: u64,
}

impl Samples {
    /// Whether one more may be said, and how many were not said since the last one.
    fn admit(&self, now: Instant) -> Option<u64> {
        let mut lately = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lately.window.is_none_or(|began| now.saturating_duration_since(began) >= WINDOW) {
            (lately.window, lately.said) = (Some(now), 0);
        }
        if lately.said >= SAMPLES_MAX {
            lately.unsaid = lately.unsaid.saturating_add(1);
            return None;
        }
        lately.said += 1;
        Some(std::mem::take(&mut lately.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_said_a_minute_and_the_others_are_counted() {
        let samples = Samples::default();
        let began = SystemClock.now();
        for second in 0..20 {
            assert_eq!(samples.admit(began + Duration::from_secs(second)), Some(0), "{second}");
        }
        for second in 20..60 {
            assert_eq!(samples.admit(began + Duration::from_secs(second)), None, "{second}");
        }
        assert_eq!(samples.admit(began + Duration::from_secs(60)), Some(40));
        assert_eq!(samples.admit(began + Duration::from_secs(61)), Some(0));
    }
}
