//! What `/plugins` says, as far as it is shown.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Deserialize;

/// What a host said, and when.
#[derive(Debug)]
pub(super) struct Moment {
    pub(super) figures: Figures,
    pub(super) at: Instant,
}

#[derive(Debug, Deserialize)]
pub(super) struct Figures {
    pub(super) generation: u64,
    pub(super) problems: Vec<String>,
    pub(super) plugins: Vec<Plugin>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Plugin {
    pub(super) name: String,
    pub(super) state: String,
    pub(super) pending_error: Option<String>,
    #[serde(default)]
    pub(super) phases: BTreeMap<String, Phase>,
    #[serde(default)]
    pub(super) instances: u64,
    #[serde(default)]
    pub(super) memory_bytes: u64,
    pub(super) last_error: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Phase {
    pub(super) calls: u64,
    pub(super) seconds: f64,
    pub(super) failures: BTreeMap<String, u64>,
}

impl Figures {
    pub(super) fn phase(&self, plugin: &str, phase: &str) -> Option<&Phase> {
        self.plugins.iter().find(|known| known.name == plugin)?.phases.get(phase)
    }
}

impl Plugin {
    /// Running, running in the version from before, or not running.
    pub(super) fn state(&self) -> &str {
        if self.pending_error.is_some() { "earlier version" } else { &self.state }
    }
}

impl Phase {
    /// Since the host started, for whatever reason.
    pub(super) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }
}
