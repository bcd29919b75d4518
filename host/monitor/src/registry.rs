//! The one place where all of a host's metrics meet.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusHandle, PrometheusRecorder};
use palisade_contract::metrics::Kind;
use palisade_contract::{
    Clock, EndpointMonitor, ListenerMonitor, Monitor, Phases, ShadowMonitor, SystemClock, UpstreamMonitor,
};

use crate::access::AccessLog;
use crate::catalogue::{self, HostMetric};
use crate::endpoint::Endpoints;
use crate::listener::ListenerMeters;
use crate::names::Names;
use crate::shadow::{Samples, ShadowMeters};
use crate::upstream::UpstreamMeters;
use crate::{PluginFigures, buckets};

/// All metrics of one host, and its access log.
///
/// A name costs memory for as long as the registry lives: series are never taken back. Names come from the
/// configuration, and a plugin's label values are bounded by the engine. Endpoints come and go, and their series with them.
pub struct Registry {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    names: Mutex<Names>,
    /// The plugins that had figures at some time.
    reported: Mutex<BTreeSet<String>>,
    /// The certificates that were shown at some time.
    pub(crate) certificates: Mutex<BTreeSet<[String; 3]>>,
    /// The namespaces that had figures at some time.
    pub(crate) shared: Mutex<BTreeSet<String>>,
    /// What was logged of each plugin in shadow, by its name.
    shadow_samples: Mutex<BTreeMap<String, Arc<Samples>>>,
    endpoints: Mutex<Endpoints>,
    access: AccessLog,
}

impl Registry {
    /// An empty registry of the host with this version, running since `started`.
    #[must_use]
    pub fn new(version: &str, started: SystemTime, access: AccessLog) -> Arc<Self> {
        let recorder = buckets::recorder();
        let handle = recorder.handle();
        let names = Mutex::new(Names::new(catalogue::ALL));
        let registry = Self {
            recorder,
            handle,
            names,
            reported: Mutex::default(),
            certificates: Mutex::default(),
            shared: Mutex::default(),
            shadow_samples: Mutex::default(),
            endpoints: Mutex::default(),
            access,
        };
        for metric in catalogue::ALL {
            registry.describe(metric.kind, metric.name, metric.help);
        }
        registry.gauge(&catalogue::BUILD_INFO, &[("version", version)]).set(1.0);
        // A clock before 1970 reads as 1970.
        let started = started.duration_since(UNIX_EPOCH).unwrap_or_default();
        registry.gauge(&catalogue::START_TIME_SECONDS, &[]).set(started.as_secs_f64());
        Arc::new(registry)
    }

    /// Everything as Prometheus text (exposition format 0.0.4). Walks all series: meant for scrapes, off the workers.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = self.handle.render();
        self.endpoints().write(&mut text);
        text
    }

    /// Folds the histograms' raw samples into their buckets, and gives up the series of endpoints that went long ago.
    ///
    /// To be called every few seconds: each recorded value takes 16 bytes until then, or until the next
    /// [`Registry::render`].
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
        self.endpoints().tidy(SystemClock.now());
    }

    fn endpoints(&self) -> MutexGuard<'_, Endpoints> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what the engine counted about its plugins, before a scrape.
    ///
    /// Counts are absolute. One that is lower than the time before is taken for no change, so they must go on across
    /// reloads. A plugin that is missing from the list is gone: its gauges fall to zero.
    pub fn plugin_figures(&self, plugins: &[PluginFigures]) {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in reported.iter().filter(|name| plugins.iter().all(|figures| figures.plugin != **name)) {
            PluginFigures { plugin: gone.clone(), ..PluginFigures::default() }.export(self);
        }
        for figures in plugins {
            figures.export(self);
            reported.insert(figures.plugin.clone());
        }
    }

    /// Makes a plugin's metric known, once its name is found to be free or the same.
    pub(crate) fn declare(&self, kind: Kind, name: &str, help: &str) -> Result<(), String> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).claim(name, kind)?;
        self.describe(kind, name, help);
        Ok(())
    }

    pub(crate) fn counter(&self, metric: &HostMetric, labels: &[(&str, &str)]) -> Counter {
        self.counter_named(metric.name, labels)
    }

    pub(crate) fn gauge(&self, metric: &HostMetric, labels: &[(&str, &str)]) -> Gauge {
        self.gauge_named(metric.name, labels)
    }

    pub(crate) fn histogram(&self, metric: &HostMetric, labels: &[(&str, &str)]) -> Histogram {
        self.histogram_named(metric.name, labels)
    }

    pub(crate) fn counter_named(&self, name: &str, labels: &[(&str, &str)]) -> Counter {
        self.recorder.register_counter(&key(name, labels), &METADATA)
    }

    pub(crate) fn gauge_named(&self, name: &str, labels: &[(&str, &str)]) -> Gauge {
        self.recorder.register_gauge(&key(name, labels), &METADATA)
    }

    pub(crate) fn histogram_named(&self, name: &str, labels: &[(&str, &str)]) -> Histogram {
        self.recorder.register_histogram(&key(name, labels), &METADATA)
    }

    fn describe(&self, kind: Kind, name: &str, help: &str) {
        let (name, help) = (KeyName::from(name.to_owned()), help.to_owned().into());
        match kind {
            Kind::Counter => self.recorder.describe_counter(name, None, help),
            Kind::Gauge => self.recorder.describe_gauge(name, None, help),
            Kind::Histogram => self.recorder.describe_histogram(name, None, help),
        }
    }
}

impl Monitor for Registry {
    fn listener(&self, name: &str) -> Arc<dyn ListenerMonitor> {
        Arc::new(ListenerMeters::new(self, name, self.access.clone()))
    }

    fn upstream(&self, name: &str) -> Arc<dyn UpstreamMonitor> {
        Arc::new(UpstreamMeters::new(self, name))
    }

    fn endpoint(&self, upstream: &str, endpoint: &str) -> Arc<dyn EndpointMonitor> {
        self.endpoints().at(upstream, endpoint)
    }

    fn shadow(&self, plugin: &str, phases: Phases) -> Arc<dyn ShadowMonitor> {
        let mut samples = self.shadow_samples.lock().unwrap_or_else(PoisonError::into_inner);
        let samples = samples.entry(plugin.to_owned()).or_default().clone();
        Arc::new(ShadowMeters::new(self, plugin, phases, samples))
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Registry").field("access", &self.access).finish_non_exhaustive()
    }
}

/// The exporter reads nothing of it.
static METADATA: Metadata<'static> = Metadata::new("palisade", Level::INFO, None);

fn key(name: &str, labels: &[(&str, &str)]) -> Key {
    let labels: Vec<Label> = labels.iter().map(|(label, value)| Label::new(label.to_string(), exact(value))).collect();
    Key::from_parts(name.to_owned(), labels)
}

/// The exporter takes `\"` for a quote that is escaped already and drops the backslash, so that two values could print
/// as one. Of two backslashes it prints one, escaped, whatever follows.
fn exact(value: &str) -> String {
    value.replace('\\', r"\\")
}

#[cfg(test)]
mod tests;
