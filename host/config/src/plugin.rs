//! A configured plugin: a module of `plugins_dir` with settings, grants and limits.

use std::time::Duration;

/// One `[plugin.NAME]` table.
#[derive(Debug, Clone, PartialEq)]
pub struct Plugin {
    /// The name that chains use.
    pub name: String,
    /// The file in `plugins_dir`, without `.wasm`. Holds no separator and does not start with a dot.
    pub module: String,
    /// What its failure means; by default filters fail closed, and a failing balancer falls back to the host's own pick.
    pub on_error: Option<OnError>,
    /// The capabilities that it may import beyond those that every plugin has; no repeats.
    pub grants: Vec<Capability>,
    /// What its `configure` is given: always an object.
    pub settings: serde_json::Value,
    /// What it may use.
    pub limits: PluginLimits,
}

/// What a plugin's failure means for the request at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// The request fails.
    Closed,
    /// The request goes on as if the plugin were not in the chain.
    Open,
}

/// Something that a plugin may import only if the config grants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Counters, gauges and histograms of its own.
    Metrics,
}

impl Capability {
    /// Every capability that can be granted.
    pub const ALL: [Self; 1] = [Self::Metrics];

    /// The name in the config, which is the name of the interface in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
        }
    }
}

/// What one instance of a plugin may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PluginLimits {
    /// Linear memory of one instance, in bytes: 64 KiB to 4 GiB.
    pub memory_bytes: usize,
    /// How long one call may take: 1 ms to 60 s.
    pub deadline: Duration,
    /// How long `configure` may take: 1 ms to 10 min.
    pub configure_deadline: Duration,
    /// Elements of all tables of one instance: 1 to 10,000,000.
    pub table_elements: usize,
    /// Core instances within the component: 1 to 1,000.
    pub instances: usize,
    /// Series of one metric: 1 to 1,000,000. Those beyond are counted as one.
    pub series: usize,
}

impl Default for PluginLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 32 << 20,
            deadline: Duration::from_millis(50),
            configure_deadline: Duration::from_secs(10),
            table_elements: 20_000,
            instances: 16,
            series: 1_000,
        }
    }
}
