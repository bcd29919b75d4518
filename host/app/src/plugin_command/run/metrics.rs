//! What a plugin does to its metrics in, a line for each series that it touched out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use palisade_contract::metrics::{Count, Kind, Level, Metric, Metrics, Record, Series};

/// A registry that remembers what was touched since it was last asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Recorder(Arc<Mutex<BTreeMap<Arc<str>, Change>>>);

/// What became of one series.
#[derive(Debug)]
enum Change {
    Added(u64),
    Set(f64),
    Shifted(f64),
    /// How many values were recorded, and the first of them.
    Recorded(usize, Vec<f64>),
}

/// Values of one histogram that are shown.
const VALUES_SHOWN: usize = 8;

impl Recorder {
    /// One line for each series that was touched since the last time, in the order of their names.
    pub(super) fn take(&self) -> Vec<String> {
        let changes = std::mem::take(&mut *self.changes());
        changes.into_iter().map(|(series, change)| format!("metric {series} {}", change.text())).collect()
    }

    fn changes(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Change>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Metrics for Recorder {
    fn declare(&self, _metric: &Metric) -> Result<(), String> {
        Ok(())
    }

    fn series(&self, metric: &Metric, labels: &[(&str, &str)]) -> Series {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        let cell = Cell { series: format!("{}{{{}}}", metric.name, labels.join(",")).into(), recorder: self.clone() };
        match metric.kind {
            Kind::Counter => Series::Counter(Arc::new(cell)),
            Kind::Gauge => Series::Gauge(Arc::new(cell)),
            Kind::Histogram => Series::Histogram(Arc::new(cell)),
        }
    }
}

/// One series.
struct Cell {
    series: Arc<str>,
    recorder: Recorder,
}

impl Cell {
    fn change(&self, new: Change) {
        let mut changes = self.recorder.changes();
        let sum = match (changes.remove(&self.series), new) {
            (Some(Change::Added(before)), Change::Added(more)) => Change::Added(before.saturating_add(more)),
            (Some(Change::Set(before)), Change::Shifted(by)) => Change::Set(before + by),
            (Some(Change::Shifted(before)), Change::Shifted(by)) => Change::Shifted(before + by),
            (Some(Change::Recorded(count, mut values)), Change::Recorded(more, new)) => {
                values.extend(new);
                values.truncate(VALUES_SHOWN);
                Change::Recorded(count.saturating_add(more), values)
            }
            (_, new) => new,
        };
        changes.insert(self.series.clone(), sum);
    }
}

impl Count for Cell {
    fn add(&self, amount: u64) {
        self.change(Change::Added(amount));
    }
}

impl Level for Cell {
    fn set(&self, value: f64) {
        self.change(Change::Set(value));
    }

    fn shift(&self, by: f64) {
        self.change(Change::Shifted(by));
    }
}

impl Record for Cell {
    fn record(&self, values: &[f64]) {
        self.change(Change::Recorded(values.len(), values.iter().take(VALUES_SHOWN).copied().collect()));
    }
}

impl Change {
    fn text(&self) -> String {
        match self {
            Self::Added(amount) => format!("+{amount}"),
            Self::Set(value) => format!("= {value}"),
            Self::Shifted(by) => format!("{by:+}"),
            Self::Recorded(count, values) => {
                let shown: Vec<String> = values.iter().map(ToString::to_string).collect();
                let more = count.saturating_sub(values.len());
                let more = if more == 0 { String::new() } else { format!(" and {more} more") };
                format!("recorded {}{more}", shown.join(" "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use palisade_contract::metrics::Unit;

    use super::*;

    #[test]
    fn what_was_touched_is_told_once() {
        let recorder = Recorder::default();
        let series = |kind, name: &str| {
            let metric = Metric { name: name.into(), help: String::new(), kind, unit: Unit::None };
            recorder.series(&metric, &[("plugin", "a\"b")])
        };
        let Series::Counter(count) = series(Kind::Counter, "c") else { panic!("a counter") };
        let Series::Gauge(level) = series(Kind::Gauge, "g") else { panic!("a gauge") };
        let Series::Histogram(values) = series(Kind::Histogram, "h") else { panic!("a histogram") };
        assert_eq!(recorder.take(), [""; 0]);
        count.add(2);
        count.add(3);
        level.shift(-1.0);
        values.record(&[0.5; 9]);
        values.record(&[1.0]);
        let told = [
            "metric c{plugin=\"a\\\"b\"} +5",
            "metric g{plugin=\"a\\\"b\"} -1",
            "metric h{plugin=\"a\\\"b\"} recorded 0.5 0.5 0.5 0.5 0.5 0.5 0.5 0.5 and 2 more",
        ];
        assert_eq!(recorder.take(), told);
        level.set(2.0);
        level.shift(0.5);
        assert_eq!(recorder.take(), ["metric g{plugin=\"a\\\"b\"} = 2.5"]);
    }
}
