//! What a plugin costs and how often it fails: counted by every worker, read by the admin side.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use palisade_contract::{Failure, Phase};

/// The counters of one plugin, all workers together.
#[derive(Debug, Default)]
pub struct Stats {
    phases: [PhaseStats; Phase::ALL.len()],
    instances: AtomicUsize,
    memory_bytes: AtomicUsize,
    log_lines_dropped: AtomicU64,
    series_overflows: AtomicU64,
    last_error: std::sync::Mutex<Option<String>>,
}

#[derive(Debug, Default)]
struct PhaseStats {
    calls: AtomicU64,
    nanoseconds: AtomicU64,
    failures: [AtomicU64; FailureKind::ALL.len()],
}

/// What kind of [`Failure`] it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// [`Failure::Trap`].
    Trap,
    /// [`Failure::Deadline`].
    Deadline,
    /// [`Failure::Memory`].
    Memory,
    /// [`Failure::Stack`].
    Stack,
    /// [`Failure::Reported`].
    Reported,
    /// [`Failure::Absurd`].
    Absurd,
    /// [`Failure::Unavailable`].
    Unavailable,
}

impl FailureKind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Trap, Self::Deadline, Self::Memory, Self::Stack, Self::Reported, Self::Absurd, Self::Unavailable];

    /// The kind of this failure.
    #[must_use]
    pub fn of(failure: &Failure) -> Self {
        match failure {
            Failure::Trap(_) => Self::Trap,
            Failure::Deadline(_) => Self::Deadline,
            Failure::Memory(_) => Self::Memory,
            Failure::Stack => Self::Stack,
            Failure::Reported(_) => Self::Reported,
            Failure::Absurd(_) => Self::Absurd,
            Failure::Unavailable(_) => Self::Unavailable,
        }
    }

    /// The kind as metrics name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::Stack => "stack",
            Self::Reported => "reported",
            Self::Absurd => "absurd",
            Self::Unavailable => "unavailable",
        }
    }

    fn index(self) -> usize {
        Self::ALL.iter().position(|kind| *kind == self).unwrap_or_default()
    }
}

/// The figures of one phase at one moment.
#[derive(Debug, Clone, Copy)]
pub struct PhaseFigures {
    /// The phase.
    pub phase: Phase,
    /// Calls that were begun.
    pub calls: u64,
    /// Time spent in them, on the wall.
    pub time: Duration,
    /// Calls that failed, by kind, in the order of [`FailureKind::ALL`].
    pub failures: [u64; FailureKind::ALL.len()],
}

impl Stats {
    /// The figures of a phase.
    #[must_use]
    pub fn phase(&self, phase: Phase) -> PhaseFigures {
        let mut figures = PhaseFigures { phase, calls: 0, time: Duration::ZERO, failures: [0; FailureKind::ALL.len()] };
        if let Some(stats) = self.phases.get(phase.index()) {
            figures.calls = stats.calls.load(Ordering::Relaxed);
            figures.time = Duration::from_nanos(stats.nanoseconds.load(Ordering::Relaxed));
            figures.failures = std::array::from_fn(|index| {
                stats.failures.get(index).map_or(0, |failures| failures.load(Ordering::Relaxed))
            });
        }
        figures
    }

    /// Instances that are alive.
    #[must_use]
    pub fn instances(&self) -> usize {
        self.instances.load(Ordering::Relaxed)
    }

    /// Bytes of linear memory of all instances that are alive.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    /// Log lines that were beyond the plugin's allowance.
    #[must_use]
    pub fn log_lines_dropped(&self) -> u64 {
        self.log_lines_dropped.load(Ordering::Relaxed)
    }

    /// How often a series was asked for beyond the limit of its metric.
    #[must_use]
    pub fn series_overflows(&self) -> u64 {
        self.series_overflows.load(Ordering::Relaxed)
    }

    /// The last failure, with its phase.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    pub(crate) fn called(&self, phase: Phase, time: Duration) {
        if let Some(stats) = self.phases.get(phase.index()) {
            stats.calls.fetch_add(1, Ordering::Relaxed);
            stats.nanoseconds.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    pub(crate) fn failed(&self, phase: Phase, failure: &Failure) {
        let kind = FailureKind::of(failure).index();
        if let Some(failures) = self.phases.get(phase.index()).and_then(|stats| stats.failures.get(kind)) {
            failures.fetch_add(1, Ordering::Relaxed);
        }
        let text = format!("{}: {failure}", phase.as_str());
        *self.last_error.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(text);
    }

    pub(crate) fn log_line_dropped(&self) {
        self.log_lines_dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn series_overflowed(&self) {
        self.series_overflows.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn instance_made(&self) {
        self.instances.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn instance_gone(&self) {
        self.instances.fetch_sub(1, Ordering::Relaxed);
    }

    /// Keeps the sum over instances: one of them changed from the one figure to the other.
    pub(crate) fn memory_changed(&self, from: usize, to: usize) {
        if to >= from {
            self.memory_bytes.fetch_add(to - from, Ordering::Relaxed);
        } else {
            self.memory_bytes.fetch_sub(from - to, Ordering::Relaxed);
        }
    }
}
