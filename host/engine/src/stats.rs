//! What a plugin costs and how often it fails: counted by every worker, read by the admin side.
//!
//! What happens on every call is counted in a [`Tally`] that one worker alone writes to, so that no two workers ever want
//! the same cache line. What is rare is counted in one place for all.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use palisade_contract::{Failure, Phase};

/// The counters of one plugin, all workers together.
#[derive(Debug, Default)]
pub struct Stats {
    failures: [[AtomicU64; FailureKind::ALL.len()]; Phase::ALL.len()],
    tallies: Mutex<Tallies>,
    instances: AtomicUsize,
    instances_made: AtomicU64,
    memory_bytes: AtomicUsize,
    memory_bytes_peak: AtomicUsize,
    log_lines_dropped: AtomicU64,
    series_overflows: AtomicU64,
    samples_dropped: AtomicUsize,
    last_error: Mutex<Option<String>>,
}

/// The tallies of workers that count, and the sums of those that do no longer.
#[derive(Debug, Default)]
struct Tallies {
    live: Vec<Arc<Tally>>,
    gone: [Sum; Phase::ALL.len()],
}

/// One worker's calls by phase: written by that worker alone, read by anyone.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Tally([PhaseTally; Phase::ALL.len()]);

#[derive(Debug, Default)]
struct PhaseTally {
    calls: AtomicU64,
    nanoseconds: AtomicU64,
    denials: AtomicU64,
    /// Of those calls whose time on the processor was measured.
    sampled_nanoseconds: AtomicU64,
    processor_nanoseconds: AtomicU64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    calls: u64,
    nanoseconds: u64,
    denials: u64,
    sampled_nanoseconds: u64,
    processor_nanoseconds: u64,
}

/// The time on the processor is measured of one call in so many: asking for it costs as much as a short call.
const SAMPLED: u64 = 256;

impl Tally {
    /// Counts one call. Only the worker whose tally this is may: a sum is read and written in two steps.
    ///
    /// With its time on the processor, where that was measured.
    pub(crate) fn called(&self, phase: Phase, time: Duration, processor: Option<Duration>) {
        let Some(tally) = self.0.get(phase.index()) else { return };
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        add(&tally.calls, 1);
        add(&tally.nanoseconds, nanoseconds(time));
        if let Some(processor) = processor {
            add(&tally.sampled_nanoseconds, nanoseconds(time));
            add(&tally.processor_nanoseconds, nanoseconds(processor));
        }
    }

    /// Whether the time on the processor of the next call is to be measured.
    pub(crate) fn samples(&self, phase: Phase) -> bool {
        self.0.get(phase.index()).is_some_and(|tally| tally.calls.load(Ordering::Relaxed).is_multiple_of(SAMPLED))
    }

    /// Counts a decision that ends an exchange, or a connection.
    pub(crate) fn denied(&self, phase: Phase) {
        if let Some(tally) = self.0.get(phase.index()) {
            add(&tally.denials, 1);
        }
    }

    fn sum(&self, phase: usize) -> Sum {
        let tally = self.0.get(phase);
        tally.map_or(Sum::default(), |tally| Sum {
            calls: tally.calls.load(Ordering::Relaxed),
            nanoseconds: tally.nanoseconds.load(Ordering::Relaxed),
            denials: tally.denials.load(Ordering::Relaxed),
            sampled_nanoseconds: tally.sampled_nanoseconds.load(Ordering::Relaxed),
            processor_nanoseconds: tally.processor_nanoseconds.load(Ordering::Relaxed),
        })
    }
}

/// One worker alone writes.
fn add(cell: &AtomicU64, more: u64) {
    cell.store(cell.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

impl Sum {
    /// As large a share of the time as it was in the calls that were measured.
    fn processor_time(&self) -> Duration {
        let (time, part) = (u128::from(self.nanoseconds), u128::from(self.processor_nanoseconds));
        let share = (time * part).checked_div(u128::from(self.sampled_nanoseconds)).unwrap_or_default();
        Duration::from_nanos(u64::try_from(share.min(time)).unwrap_or(u64::MAX))
    }

    fn add(&mut self, more: Self) {
        self.calls = self.calls.wrapping_add(more.calls);
        self.nanoseconds = self.nanoseconds.wrapping_add(more.nanoseconds);
        self.denials = self.denials.wrapping_add(more.denials);
        self.sampled_nanoseconds = self.sampled_nanoseconds.wrapping_add(more.sampled_nanoseconds);
        self.processor_nanoseconds = self.processor_nanoseconds.wrapping_add(more.processor_nanoseconds);
    }
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
    /// Of that, what the processor was at work for: measured of one call in 256.
    pub processor_time: Duration,
    /// Decisions that ended an exchange or a connection: replies, closes, refusals.
    pub denials: u64,
    /// Calls that failed, by kind, in the order of [`FailureKind::ALL`].
    pub failures: [u64; FailureKind::ALL.len()],
}

impl Stats {
    /// The figures of a phase.
    #[must_use]
    pub fn phase(&self, phase: Phase) -> PhaseFigures {
        let tallies = self.tallies();
        let mut sum = tallies.gone.get(phase.index()).copied().unwrap_or_default();
        tallies.live.iter().for_each(|tally| sum.add(tally.sum(phase.index())));
        let failures = self.failures.get(phase.index());
        PhaseFigures {
            phase,
            calls: sum.calls,
            time: Duration::from_nanos(sum.nanoseconds),
            processor_time: sum.processor_time(),
            denials: sum.denials,
            failures: std::array::from_fn(|kind| {
                failures.and_then(|kinds| kinds.get(kind)).map_or(0, |count| count.load(Ordering::Relaxed))
            }),
        }
    }

    /// A tally for one worker.
    pub(crate) fn tally(&self) -> Arc<Tally> {
        let tally = Arc::<Tally>::default();
        self.tallies().live.push(tally.clone());
        tally
    }

    /// The worker of this tally counts no longer; what it has counted stays.
    pub(crate) fn retire(&self, tally: &Arc<Tally>) {
        let mut tallies = self.tallies();
        tallies.live.retain(|live| !Arc::ptr_eq(live, tally));
        for (phase, gone) in tallies.gone.iter_mut().enumerate() {
            gone.add(tally.sum(phase));
        }
    }

    fn tallies(&self) -> MutexGuard<'_, Tallies> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// The most that this ever was.
    #[must_use]
    pub fn memory_bytes_peak(&self) -> usize {
        self.memory_bytes_peak.load(Ordering::Relaxed)
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

    /// Values for histograms that were beyond the plugin's allowance.
    #[must_use]
    pub fn samples_dropped(&self) -> usize {
        self.samples_dropped.load(Ordering::Relaxed)
    }

    /// The last failure, with its phase.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another version of the plugin runs from now on, and what the one before failed with last is not its error.
    pub fn forget_last_error(&self) {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub(crate) fn failed(&self, phase: Phase, failure: &Failure) {
        let kind = FailureKind::of(failure).index();
        if let Some(count) = self.failures.get(phase.index()).and_then(|kinds| kinds.get(kind)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let text = format!("{}: {failure}", phase.as_str());
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    pub(crate) fn log_line_dropped(&self) {
        self.log_lines_dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn drop_samples(&self, count: usize) {
        if count > 0 {
            self.samples_dropped.fetch_add(count, Ordering::Relaxed);
        }
    }

    pub(crate) fn series_overflowed(&self) {
        self.series_overflows.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one more instance, and gives its number.
    pub(crate) fn instance_made(&self) -> u64 {
        self.instances.fetch_add(1, Ordering::Relaxed);
        self.instances_made.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn instance_gone(&self) {
        self.instances.fetch_sub(1, Ordering::Relaxed);
    }

    /// Keeps the sum over instances: one of them changed from the one figure to the other.
    pub(crate) fn memory_changed(&self, from: usize, to: usize) {
        if to >= from {
            let more = to - from;
            let all = self.memory_bytes.fetch_add(more, Ordering::Relaxed).saturating_add(more);
            self.memory_bytes_peak.fetch_max(all, Ordering::Relaxed);
        } else {
            self.memory_bytes.fetch_sub(from - to, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_counted_stays_when_it_is_gone() {
        let stats = Stats::default();
        let (one, two) = (stats.tally(), stats.tally());
        one.called(Phase::Request, Duration::from_nanos(30), Some(Duration::from_nanos(15)));
        two.called(Phase::Request, Duration::from_nanos(12), None);
        check(&stats, 2, 42);
        stats.retire(&one);
        check(&stats, 2, 42);
        two.called(Phase::Request, Duration::from_nanos(8), None);
        stats.retire(&two);
        check(&stats, 3, 50);
        assert_eq!(
            stats.phase(Phase::Request).processor_time,
            Duration::from_nanos(25),
            "half, as in what was measured"
        );
    }

    fn check(stats: &Stats, calls: u64, nanoseconds: u64) {
        let figures = stats.phase(Phase::Request);
        assert_eq!((figures.calls, figures.time), (calls, Duration::from_nanos(nanoseconds)));
        assert_eq!(stats.phase(Phase::Response).calls, 0);
    }
}
