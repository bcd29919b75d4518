//! The metrics that a plugin declared in a test, and their values.

use crate::bindings::capabilities::palisade::plugin::metrics::Kind;

#[derive(Debug, Default)]
pub(crate) struct Registry {
    metrics: Vec<Declared>,
    series: Vec<Series>,
}

#[derive(Debug)]
struct Declared {
    kind: Kind,
    name: String,
    labels: Vec<String>,
}

#[derive(Debug)]
struct Series {
    metric: usize,
    values: Vec<String>,
    count: u64,
    gauge: f64,
    recorded: Vec<f64>,
}

impl Registry {
    pub(crate) fn declare(&mut self, kind: Kind, name: &str, labels: &[String]) -> Result<u32, String> {
        if let Some(wrong) = labels.iter().map(String::as_str).chain([name]).find(|name| !is_metric_name(name)) {
            return Err(format!("{wrong:?} is not a name of a metric or label"));
        }
        if labels.len() > LABELS_MAX {
            return Err(format!("{} labels are more than {LABELS_MAX}", labels.len()));
        }
        if let Some(index) = self.metrics.iter().position(|metric| metric.name == name) {
            let same = self.metrics.get(index).is_some_and(|metric| metric.kind == kind && metric.labels == labels);
            return if same { Ok(number(index)) } else { Err("stands for another metric already".to_owned()) };
        }
        if self.metrics.len() == METRICS_MAX {
            return Err(format!("there are {METRICS_MAX} metrics already, which is the limit"));
        }
        self.metrics.push(Declared { kind, name: name.to_owned(), labels: labels.to_vec() });
        Ok(number(self.metrics.len() - 1))
    }

    pub(crate) fn series(&mut self, metric: u32, values: &[String]) -> u32 {
        let metric = usize::try_from(metric).unwrap_or(usize::MAX);
        let labels = self.metrics.get(metric).map(|declared| declared.labels.len());
        assert_eq!(labels, Some(values.len()), "series of an unknown metric, or without a value for each label, trap");
        if let Some(index) = self.position(metric, values) {
            return number(index);
        }
        let full = self.series.iter().filter(|series| series.metric == metric).count() >= SERIES_MAX;
        let values = if full { vec!["other".to_owned(); values.len()] } else { values.to_vec() };
        let index = self.position(metric, &values).unwrap_or_else(|| {
            self.series.push(Series { metric, values, count: 0, gauge: 0.0, recorded: Vec::new() });
            self.series.len() - 1
        });
        number(index)
    }

    pub(crate) fn add(&mut self, series: u32, amount: u64) {
        self.at(series, Kind::Counter).count += amount;
    }

    pub(crate) fn set(&mut self, series: u32, value: f64) {
        self.at(series, Kind::Gauge).gauge = value;
    }

    pub(crate) fn shift(&mut self, series: u32, by: f64) {
        self.at(series, Kind::Gauge).gauge += by;
    }

    pub(crate) fn record(&mut self, series: u32, values: &[f64]) {
        self.at(series, Kind::Histogram).recorded.extend(values.iter().filter(|value| !value.is_nan()));
    }

    pub(crate) fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.find(Kind::Counter, name, labels).map_or(0, |series| series.count)
    }

    pub(crate) fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.find(Kind::Gauge, name, labels).map_or(0.0, |series| series.gauge)
    }

    pub(crate) fn recorded(&self, name: &str, labels: &[(&str, &str)]) -> &[f64] {
        self.find(Kind::Histogram, name, labels).map_or(&[], |series| &series.recorded)
    }

    /// The series of these labels, in any order, if the plugin ever asked for it. A test that asks for a metric or label
    /// that was never declared has a mistake, and fails.
    fn find(&self, kind: Kind, name: &str, labels: &[(&str, &str)]) -> Option<&Series> {
        let metric = self.metrics.iter().position(|metric| metric.kind == kind && metric.name == name);
        let declared = metric.and_then(|metric| self.metrics.get(metric));
        let known = declared.map(|declared| declared.labels.as_slice());
        let asked =
            |label: &String| labels.iter().find(|(asked, _)| asked == label).map(|(_, value)| (*value).to_owned());
        let values: Option<Vec<String>> = known.and_then(|known| known.iter().map(asked).collect());
        let values = values.filter(|values| values.len() == labels.len());
        assert!(values.is_some(), "no {kind:?} {name:?} with the labels {labels:?} is declared");
        let index = self.position(metric?, &values?)?;
        self.series.get(index)
    }

    fn position(&self, metric: usize, values: &[String]) -> Option<usize> {
        self.series.iter().position(|series| series.metric == metric && series.values == values)
    }

    #[expect(clippy::panic, reason = "what traps in production fails a test")]
    fn at(&mut self, series: u32, kind: Kind) -> &mut Series {
        let found = self.series.get_mut(usize::try_from(series).unwrap_or(usize::MAX));
        let is_kind = |series: &Series| self.metrics.get(series.metric).is_some_and(|metric| metric.kind == kind);
        match found {
            Some(found) if is_kind(found) => found,
            _ => panic!("there is no {kind:?} series {series}: this traps"),
        }
    }
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`, not starting with two underscores, and not the host's own label.
fn is_metric_name(name: &str) -> bool {
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let all_well = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    starts_well && all_well && !name.starts_with("__") && name != "plugin"
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

const METRICS_MAX: usize = 64;
const LABELS_MAX: usize = 8;
const SERIES_MAX: usize = 1_000;
