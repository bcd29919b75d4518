//! The plugins' own metrics, in the host's registry.

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram};
use palisade_contract::metrics::{Count, Kind, Level, Metric, Metrics, Record, Series};

use crate::{Registry, buckets};

impl Metrics for Registry {
    fn declare(&self, metric: &Metric) -> Result<(), String> {
        if metric.kind == Kind::Histogram {
            buckets::agree(&metric.name, metric.unit)?;
        }
        self.declare(metric.kind, &metric.name, &metric.help)
    }

    fn series(&self, metric: &Metric, labels: &[(&str, &str)]) -> Series {
        match metric.kind {
            Kind::Counter => Series::Counter(Arc::new(CounterCell(self.counter_named(&metric.name, labels)))),
            Kind::Gauge => Series::Gauge(Arc::new(GaugeCell(self.gauge_named(&metric.name, labels)))),
            Kind::Histogram => Series::Histogram(Arc::new(HistogramCell(self.histogram_named(&metric.name, labels)))),
        }
    }
}

struct CounterCell(Counter);

impl Count for CounterCell {
    fn add(&self, amount: u64) {
        self.0.increment(amount);
    }
}

struct GaugeCell(Gauge);

impl Level for GaugeCell {
    fn set(&self, value: f64) {
        self.0.set(value);
    }

    fn shift(&self, by: f64) {
        self.0.increment(by);
    }
}

struct HistogramCell(Histogram);

impl Record for HistogramCell {
    fn record(&self, values: &[f64]) {
        // One NaN would make the sum NaN for good.
        values.iter().filter(|value| !value.is_nan()).for_each(|value| self.0.record(*value));
    }
}
