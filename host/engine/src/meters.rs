//! One instance's metrics: what it declared, and the series behind its handles.
//!
//! Both are numbered in the order of the calls, so that whoever makes the same calls again gets the same numbers: that is
//! how an instance that starts from a configured image finds its handles good.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use palisade_contract::metrics::{Kind, Metric, Series, Unit};
use serde::{Deserialize, Serialize};

use crate::state::Identity;

/// Metrics that one plugin may declare.
const METRICS_MAX: usize = 64;
/// Labels that one metric may have, beside `plugin`.
const LABELS_MAX: usize = 8;
/// Bytes of one label value; what is beyond is cut off.
const VALUE_BYTES_MAX: usize = 256;

/// What a plugin says of one of its metrics.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Declaration {
    #[serde(with = "KindName")]
    pub(crate) kind: Kind,
    #[serde(with = "UnitName")]
    pub(crate) unit: Unit,
    pub(crate) name: String,
    pub(crate) help: String,
    pub(crate) labels: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Kind")]
enum KindName {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Unit")]
enum UnitName {
    None,
    Seconds,
    Bytes,
}

/// The calls that made an instance's metrics what they are.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct MeterCalls {
    declarations: Vec<Declaration>,
    series: Vec<(u32, Vec<String>)>,
}

/// What one instance declared, and the series behind its handles.
#[derive(Debug)]
pub(crate) struct Meters {
    declared: Vec<Declared>,
    series: Vec<Series>,
    /// For each series the call that it was made by.
    asked: Vec<(u32, Vec<String>)>,
    series_max: usize,
}

/// The label values that a plugin's instances ever used, by metric: what counts against its limit, because the registry
/// forgets none.
#[derive(Debug, Default)]
pub(crate) struct Admitted(Mutex<HashMap<String, HashSet<Vec<String>>>>);

impl Admitted {
    /// Whether these values are, or become, one of so many series of the metric.
    fn admits(&self, metric: &str, values: &[String], series_max: usize) -> bool {
        let mut metrics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let series = metrics.entry(metric.to_owned()).or_default();
        if series.contains(values) {
            return true;
        }
        let has_room = series.len() < series_max;
        if has_room {
            series.insert(values.to_vec());
        }
        has_room
    }
}

#[derive(Debug)]
struct Declared {
    declaration: Declaration,
    metric: Metric,
    handles: HashMap<Vec<String>, u32>,
    overflow: Option<u32>,
}

impl Meters {
    pub(crate) fn new(series_max: usize) -> Self {
        Self { declared: Vec::new(), series: Vec::new(), asked: Vec::new(), series_max }
    }

    /// Declares a metric and gives its number.
    ///
    /// # Errors
    /// A sentence that says which rule it breaks.
    pub(crate) fn declare(&mut self, identity: &Identity, declaration: Declaration) -> Result<u32, String> {
        let name = declaration.name.as_str();
        if self.declared.len() >= METRICS_MAX {
            return Err(format!("metric {name:?}: a plugin may declare at most {METRICS_MAX}"));
        }
        if !is_name(name) {
            return Err(format!("metric {name:?}: a name is [a-zA-Z_][a-zA-Z0-9_]*, and does not begin with \"__\""));
        }
        if self.declared.iter().any(|declared| declared.declaration.name == name) {
            return Err(format!("metric {name:?} is declared twice"));
        }
        check_labels(name, &declaration.labels)?;
        let Declaration { kind, unit, help, .. } = declaration.clone();
        let metric = Metric { name: full_name(identity, name), help, kind, unit };
        identity.services.metrics.declare(&metric)?;
        self.declared.push(Declared { declaration, metric, handles: HashMap::new(), overflow: None });
        u32::try_from(self.declared.len() - 1).map_err(|error| error.to_string())
    }

    /// The calls that would make others the same as these.
    pub(crate) fn calls(&self) -> MeterCalls {
        MeterCalls {
            declarations: self.declared.iter().map(|declared| declared.declaration.clone()).collect(),
            series: self.asked.clone(),
        }
    }

    /// Makes the calls again.
    ///
    /// # Errors
    /// A sentence: what was allowed before is no longer.
    pub(crate) fn repeat(&mut self, identity: &Identity, calls: &MeterCalls) -> Result<(), String> {
        for declaration in &calls.declarations {
            self.declare(identity, declaration.clone())?;
        }
        for (metric, values) in &calls.series {
            self.series(identity, *metric, values.clone()).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// The handle of the series with these label values.
    ///
    /// # Errors
    /// There is no such metric, or it has another number of labels: the guest traps.
    pub(crate) fn series(
        &mut self,
        identity: &Identity,
        metric: u32,
        mut values: Vec<String>,
    ) -> wasmtime::Result<u32> {
        let declared = usize::try_from(metric).ok().and_then(|index| self.declared.get_mut(index));
        let Some(declared) = declared else { wasmtime::bail!("metric {metric} was never declared") };
        if values.len() != declared.declaration.labels.len() {
            wasmtime::bail!(
                "metric {:?} has {} labels, not {}",
                declared.metric.name,
                declared.declaration.labels.len(),
                values.len()
            );
        }
        values.iter_mut().for_each(|value| cut(value, VALUE_BYTES_MAX));
        if let Some(handle) = declared.handles.get(&values) {
            return Ok(*handle);
        }
        let asked = (metric, values.clone());
        let admitted = identity.series.admits(&declared.metric.name, &values, self.series_max);
        if !admitted {
            identity.stats.series_overflowed();
            if let Some(handle) = declared.overflow {
                return Ok(handle);
            }
            values.iter_mut().for_each(|value| "other".clone_into(value));
        }
        let labels: Vec<(&str, &str)> = std::iter::once(("plugin", identity.name.as_str()))
            .chain(declared.declaration.labels.iter().map(String::as_str).zip(values.iter().map(String::as_str)))
            .collect();
        let handle = u32::try_from(self.series.len())?;
        self.series.push(identity.services.metrics.series(&declared.metric, &labels));
        self.asked.push(asked);
        if admitted {
            declared.handles.insert(values, handle);
        } else {
            declared.overflow = Some(handle);
        }
        Ok(handle)
    }

    /// The series behind a handle.
    ///
    /// # Errors
    /// There is none: the guest traps.
    pub(crate) fn at(&self, handle: u32) -> wasmtime::Result<&Series> {
        let series = usize::try_from(handle).ok().and_then(|index| self.series.get(index));
        series.ok_or_else(|| wasmtime::format_err!("series {handle} was never given"))
    }
}

/// The name on `/metrics`: the module is part of it, so that no two modules share a name.
fn full_name(identity: &Identity, name: &str) -> String {
    format!("palisade_{}_{name}", identity.module.replace(|letter: char| !letter.is_ascii_alphanumeric(), "_"))
}

fn check_labels(metric: &str, labels: &[String]) -> Result<(), String> {
    if labels.len() > LABELS_MAX {
        return Err(format!("metric {metric:?} has {} labels, at most {LABELS_MAX} are allowed", labels.len()));
    }
    for (index, label) in labels.iter().enumerate() {
        if !is_name(label) || label == "plugin" || label == "le" || label == "quantile" {
            return Err(format!("metric {metric:?}: {label:?} is not a label name that a plugin may use"));
        }
        if labels.iter().take(index).any(|earlier| earlier == label) {
            return Err(format!("metric {metric:?} has the label {label:?} twice"));
        }
    }
    Ok(())
}

/// The Prometheus data model's grammar, without colons.
fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        && !name.starts_with("__")
        && name.len() <= 128
}

/// Cuts a text to so many bytes, at a character's border.
pub(crate) fn cut(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        let end = (0..=bytes_max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        text.truncate(end);
    }
}
