//! What the engine counts about each plugin, as metrics.

use crate::{Registry, catalogue};

/// The figures of one configured plugin, all workers together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PluginFigures {
    /// The name that the configuration gave it.
    pub plugin: String,
    /// Its calls, by phase.
    pub phases: Vec<PhaseFigures>,
    /// Its failures, by phase and reason.
    pub failures: Vec<FailureFigures>,
    /// Linear memory of all its instances, in bytes.
    pub memory_bytes: u64,
    /// The most that this ever was.
    pub memory_bytes_peak: u64,
    /// Whether it keeps failing and is left alone.
    pub is_backed_off: bool,
    /// Its live instances.
    pub instances: u64,
    /// The exchanges that hold it.
    pub leases: u64,
}

/// The calls of one phase since the host started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhaseFigures {
    /// The phase as the contract names it.
    pub phase: &'static str,
    /// How many calls.
    pub calls: u64,
    /// How long they took, in nanoseconds.
    pub nanoseconds: u64,
    /// Of that, what the processor was at work for.
    pub processor_nanoseconds: u64,
    /// Decisions that ended an exchange or a connection.
    pub denials: u64,
}

/// The failures of one kind since the host started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureFigures {
    /// The phase as the contract names it.
    pub phase: &'static str,
    /// Why, in one word: `trap`, `deadline`, …
    pub reason: &'static str,
    /// How often.
    pub count: u64,
}

impl PluginFigures {
    pub(crate) fn export(&self, registry: &Registry) {
        let plugin = ("plugin", self.plugin.as_str());
        for phase in &self.phases {
            let labels = [plugin, ("phase", phase.phase)];
            registry.counter(&catalogue::PLUGIN_CALLS_TOTAL, &labels).absolute(phase.calls);
            registry.counter(&catalogue::PLUGIN_CALL_NANOSECONDS_TOTAL, &labels).absolute(phase.nanoseconds);
            let processor = registry.counter(&catalogue::PLUGIN_PROCESSOR_NANOSECONDS_TOTAL, &labels);
            processor.absolute(phase.processor_nanoseconds);
            registry.counter(&catalogue::PLUGIN_DENIALS_TOTAL, &labels).absolute(phase.denials);
        }
        for failure in &self.failures {
            let labels = [plugin, ("phase", failure.phase), ("reason", failure.reason)];
            registry.counter(&catalogue::PLUGIN_FAILURES_TOTAL, &labels).absolute(failure.count);
        }
        registry.gauge(&catalogue::PLUGIN_MEMORY_BYTES, &[plugin]).set(level(self.memory_bytes));
        registry.gauge(&catalogue::PLUGIN_MEMORY_PEAK_BYTES, &[plugin]).set(level(self.memory_bytes_peak));
        registry.gauge(&catalogue::PLUGIN_BACKED_OFF, &[plugin]).set(level(self.is_backed_off.into()));
        registry.gauge(&catalogue::PLUGIN_INSTANCES, &[plugin]).set(level(self.instances));
        registry.gauge(&catalogue::PLUGIN_LEASES, &[plugin]).set(level(self.leases));
    }
}

/// A gauge is a float: exact up to 2⁵³, near enough beyond.
pub(crate) fn level(value: u64) -> f64 {
    value as f64
}
