//! Where a plugin's metrics go: declared once, resolved to a series once, then added to by handle.

use std::fmt::Debug;
use std::sync::Arc;

/// The registry behind a plugin's metrics.
pub trait Metrics: Send + Sync + Debug {
    /// Makes a metric known.
    ///
    /// # Errors
    /// A sentence where the name already stands for another kind.
    fn declare(&self, metric: &Metric) -> Result<(), String>;

    /// The cell behind one series of a declared metric. The same labels give the same cell.
    fn series(&self, metric: &Metric, labels: &[(&str, &str)]) -> Series;
}

/// Counts nothing: for an embedder that has no use for plugins' metrics.
#[derive(Debug, Clone, Copy, Default)]
pub struct Discard;

impl Metrics for Discard {
    fn declare(&self, _metric: &Metric) -> Result<(), String> {
        Ok(())
    }

    fn series(&self, metric: &Metric, _labels: &[(&str, &str)]) -> Series {
        match metric.kind {
            Kind::Counter => Series::Counter(Arc::new(Self)),
            Kind::Gauge => Series::Gauge(Arc::new(Self)),
            Kind::Histogram => Series::Histogram(Arc::new(Self)),
        }
    }
}

impl Count for Discard {
    fn add(&self, _amount: u64) {}
}

impl Level for Discard {
    fn set(&self, _value: f64) {}

    fn shift(&self, _by: f64) {}
}

impl Record for Discard {
    fn record(&self, _values: &[f64]) {}
}

/// A metric as a plugin declared it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// The whole name, in the form of the Prometheus data model.
    pub name: String,
    /// One sentence.
    pub help: String,
    /// What can be done to it.
    pub kind: Kind,
    /// What it measures: chooses a histogram's buckets.
    pub unit: Unit,
}

/// What can be done to a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values by size.
    Histogram,
}

/// What a metric measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A plain number.
    None,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

/// One series: what a handle stands for.
#[derive(Clone)]
pub enum Series {
    /// Of a counter.
    Counter(Arc<dyn Count + Send + Sync>),
    /// Of a gauge.
    Gauge(Arc<dyn Level + Send + Sync>),
    /// Of a histogram.
    Histogram(Arc<dyn Record + Send + Sync>),
}

impl Debug for Series {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Counter(_) => "Counter",
            Self::Gauge(_) => "Gauge",
            Self::Histogram(_) => "Histogram",
        })
    }
}

/// A counter's cell.
pub trait Count {
    /// Adds.
    fn add(&self, amount: u64);
}

/// A gauge's cell.
pub trait Level {
    /// Replaces the value.
    fn set(&self, value: f64);

    /// Adds; negative values subtract.
    fn shift(&self, by: f64);
}

/// A histogram's cell.
pub trait Record {
    /// Counts each of the values.
    fn record(&self, values: &[f64]);
}
