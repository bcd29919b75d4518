//! What the engine counts of its plugins, for metrics and for the admin listener.

use std::time::{SystemTime, UNIX_EPOCH};

use palisade_contract::{NamespaceFigures, OnError};
use palisade_engine::{FailureKind, Manifest, Plugin};
use palisade_monitor::{FailureFigures, PhaseFigures, PluginFigures};
use serde_json::{Value, json};

use crate::plugins::{Failed, Loaded};
use crate::state::State;

/// The figures of every plugin that runs, for the metrics.
pub(crate) fn for_metrics(state: &State) -> Vec<PluginFigures> {
    let served = state.served();
    served.plugins.running().map(|plugin| of_plugin(plugin, state.proxy.leases(&plugin.config().name))).collect()
}

fn of_plugin(plugin: &Plugin, leases: usize) -> PluginFigures {
    let stats = plugin.stats();
    let phases: Vec<_> = plugin.manifest().phases.iter().map(|phase| stats.phase(phase)).collect();
    let failures = phases.iter().flat_map(|figures| {
        FailureKind::ALL.iter().zip(figures.failures).map(|(kind, count)| FailureFigures {
            phase: figures.phase.as_str(),
            reason: kind.as_str(),
            count,
        })
    });
    PluginFigures {
        plugin: plugin.config().name.clone(),
        failures: failures.collect(),
        phases: phases
            .iter()
            .map(|figures| PhaseFigures {
                phase: figures.phase.as_str(),
                calls: figures.calls,
                nanoseconds: u64::try_from(figures.time.as_nanos()).unwrap_or(u64::MAX),
                processor_nanoseconds: u64::try_from(figures.processor_time.as_nanos()).unwrap_or(u64::MAX),
                denials: figures.denials,
            })
            .collect(),
        memory_bytes: whole(stats.memory_bytes()),
        memory_bytes_peak: whole(stats.memory_bytes_peak()),
        is_backed_off: plugin.is_backed_off(),
        instances: whole(stats.instances()),
        leases: whole(leases),
    }
}

fn whole(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Every plugin and every file, for `/plugins`.
pub(crate) fn as_json(state: &State) -> Value {
    let (served, last) = (state.served(), state.last());
    let plugins = served.plugins.loaded.iter().map(|loaded| of_loaded(loaded, state));
    let files = served.plugins.library.files.iter().map(|file| {
        let (sha256, error) = match &file.manifest {
            Ok(manifest) => (Some(&manifest.sha256), None),
            Err(error) => (None, Some(error)),
        };
        json!({ "file": file.path, "module": file.module, "sha256": sha256, "signed_by": file.signed_by, "error": error })
    });
    json!({
        "generation": served.number,
        "last_reload": { "result": last.outcome.result, "at": seconds(last.at) },
        "problems": last.outcome.problems,
        "plugins": plugins.collect::<Vec<_>>(),
        "files": files.collect::<Vec<_>>(),
    })
}

fn of_loaded(loaded: &Loaded, state: &State) -> Value {
    let mut value = match &loaded.plugin {
        Ok(plugin) => running(plugin, state.proxy.leases(&plugin.config().name)),
        Err(failed) => broken(failed),
    };
    let since = loaded.since.map(|since| (since.generation, seconds(since.at)));
    merge(
        &mut value,
        json!({
            "generation": since.map(|(generation, _)| generation),
            "loaded_at": since.map(|(_, at)| at),
            "pending_error": loaded.pending,
        }),
    );
    value
}

/// Since 1970, to the millisecond.
fn seconds(at: SystemTime) -> f64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs_f64() * 1_000.0).round() / 1_000.0
}

fn running(plugin: &Plugin, leases: usize) -> Value {
    let (manifest, config, stats) = (plugin.manifest(), plugin.config(), plugin.stats());
    let mut value = common(config, if plugin.is_backed_off() { "backed-off" } else { "running" });
    merge(&mut value, of_manifest(manifest));
    merge(
        &mut value,
        json!({
            "phases": manifest.phases.iter().map(|phase| of_phase(plugin, phase)).collect::<serde_json::Map<_, _>>(),
            "instances": stats.instances(),
            "memory_bytes": stats.memory_bytes(),
            "memory_bytes_peak": stats.memory_bytes_peak(),
            "leases": leases,
            "log_lines_dropped": stats.log_lines_dropped(),
            "series_overflows": stats.series_overflows(),
            "samples_dropped": stats.samples_dropped(),
            "shared": plugin.shared().as_ref().map(of_namespace),
            "last_error": stats.last_error(),
        }),
    );
    value
}

fn of_namespace(figures: &NamespaceFigures) -> Value {
    json!({
        "name": figures.name,
        "keys": figures.keys,
        "keys_max": figures.bounds.keys,
        "bytes": figures.bytes,
        "bytes_max": figures.bounds.bytes,
        "evictions": figures.evictions,
    })
}

fn broken(failed: &Failed) -> Value {
    let mut value = common(&failed.config, "failed");
    merge(&mut value, json!({ "last_error": failed.reason }));
    value
}

fn common(config: &palisade_config::Plugin, state: &str) -> Value {
    let on_error = config.on_error.map(|on_error| match on_error {
        OnError::Closed => "closed",
        OnError::Open => "open",
    });
    json!({
        "name": config.name,
        "module": config.module,
        "state": state,
        "on_error": on_error,
        "grants": config.grants.iter().map(|grant| grant.name()).collect::<Vec<_>>(),
    })
}

fn of_manifest(manifest: &Manifest) -> Value {
    json!({
        "about": manifest.about,
        "abi": manifest.abi,
        "asks": manifest.asks.iter().map(|asked| asked.name()).collect::<Vec<_>>(),
        "sha256": manifest.sha256,
        "bytes": manifest.bytes,
    })
}

fn of_phase(plugin: &Plugin, phase: palisade_contract::Phase) -> (String, Value) {
    let figures = plugin.stats().phase(phase);
    let failures = FailureKind::ALL.iter().zip(figures.failures);
    let failures: serde_json::Map<_, _> =
        failures.map(|(kind, count)| (kind.as_str().to_owned(), Value::from(count))).collect();
    let value = json!({
        "calls": figures.calls,
        "seconds": figures.time.as_secs_f64(),
        "processor_seconds": figures.processor_time.as_secs_f64(),
        "denials": figures.denials,
        "failures": failures,
    });
    (phase.as_str().to_owned(), value)
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}
