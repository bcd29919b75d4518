//! A plugin that is looked at: what each of its steps costs, changes, logs and counts.

use std::time::Duration;

use palisade_contract::Phase;
use palisade_engine::Plugin;

use super::lines::LogLines;
use super::metrics::Recorder;
use super::report::{Report, Step};

/// Writes the report of a plugin.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) plugin: Plugin,
    pub(super) lines: LogLines,
    pub(super) recorder: Recorder,
    pub(super) report: Report,
}

/// What was known of a phase before a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    phase: Phase,
    calls: u64,
    failures: u64,
    time: Duration,
}

impl Watch {
    /// Before a step of this phase.
    pub(super) fn mark(&self, phase: Phase) -> Mark {
        let figures = self.plugin.stats().phase(phase);
        Mark { phase, calls: figures.calls, failures: figures.failures.iter().sum(), time: figures.time }
    }

    /// After it: what came of it, unless the plugin failed, and what it changed.
    pub(super) fn step(&mut self, mark: Mark, outcome: impl Into<String>, changes: Vec<String>) {
        let now = self.mark(mark.phase);
        let failed = (now.failures > mark.failures).then(|| self.failure(mark.phase));
        self.report.is_failed |= failed.is_some();
        let time = (now.calls > mark.calls).then(|| now.time.saturating_sub(mark.time));
        self.add(mark.phase.as_str(), failed.unwrap_or_else(|| outcome.into()), time, changes);
    }

    /// A step that is no phase.
    pub(super) fn add(&mut self, phase: &'static str, outcome: String, time: Option<Duration>, mut lines: Vec<String>) {
        lines.extend(self.lines.take());
        lines.extend(self.recorder.take());
        self.report.steps.push(Step { phase, outcome, time, lines });
    }

    /// Why the plugin's last call failed.
    fn failure(&self, phase: Phase) -> String {
        let error = self.plugin.stats().last_error().unwrap_or_default();
        error.strip_prefix(phase.as_str()).and_then(|error| error.strip_prefix(": ")).unwrap_or(&error).to_owned()
    }
}
