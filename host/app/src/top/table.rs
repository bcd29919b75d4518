//! Two looks at a host go in, the table of what its plugins cost between them comes out.

use std::fmt::Write;
use std::time::Duration;

use super::figures::{Figures, Moment, Phase, Plugin};

/// What is over each column. The first two are text and begin on the left.
const HEADINGS: [&str; 8] = ["PLUGIN", "PHASE", "CALLS/S", "MEAN", "FAILED", "INSTANCES", "MEMORY", "STATE"];

/// The columns that begin on the left.
const LEFT: [usize; 3] = [0, 1, 7];

/// A line for each phase of each plugin, with a plugin's own figures in its first line; then what is wrong.
pub(super) fn render(before: &Moment, now: &Moment) -> String {
    let seconds = now.at.saturating_duration_since(before.at).as_secs_f64().max(0.001);
    let plugins = &now.figures.plugins;
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(plugins.iter().flat_map(|plugin| lines(plugin, &before.figures, seconds)));
    let mut text = format!("generation {}, {} plugins\n\n{}", now.figures.generation, plugins.len(), aligned(&rows));
    let failing = plugins.iter().filter_map(|plugin| Some((&plugin.name, plugin.last_error.as_ref()?)));
    for (index, (plugin, error)) in failing.enumerate() {
        let begin = if index == 0 { "\nfailed last:\n" } else { "" };
        let _ = writeln!(text, "{begin}  {plugin}: {error}");
    }
    for (index, problem) in now.figures.problems.iter().enumerate() {
        let begin = if index == 0 { "\nproblems:\n" } else { "" };
        let _ = writeln!(text, "{begin}  {}", problem.lines().next().unwrap_or_default());
    }
    text
}

fn lines(plugin: &Plugin, before: &Figures, seconds: f64) -> Vec<[String; 8]> {
    let own = [plugin.instances.to_string(), size(plugin.memory_bytes), plugin.state().to_owned()];
    let line = |phase: &str, [calls, mean, failed]: [String; 3], [instances, memory, state]: [String; 3]| {
        [plugin.name.clone(), phase.to_owned(), calls, mean, failed, instances, memory, state]
    };
    if plugin.phases.is_empty() {
        return vec![line("", Default::default(), own)];
    }
    let cost = |(name, phase): (&String, &Phase)| {
        let before = before.phase(&plugin.name, name).cloned().unwrap_or_default();
        let calls = phase.calls.saturating_sub(before.calls);
        [rate(calls, seconds), mean(phase.seconds - before.seconds, calls), phase.failed().to_string()]
    };
    let phases = plugin.phases.iter().enumerate().map(|(index, (name, phase))| {
        let own = if index == 0 { own.clone() } else { Default::default() };
        let mut line = line(name, cost((name, phase)), own);
        if let Some(name) = line.first_mut().filter(|_| index > 0) {
            name.clear();
        }
        line
    });
    phases.collect()
}

fn rate(calls: u64, seconds: f64) -> String {
    format!("{:.1}", calls as f64 / seconds)
}

/// Of calls that took so long together; a dash where there was none.
fn mean(seconds: f64, calls: u64) -> String {
    if calls == 0 {
        return "-".to_owned();
    }
    let mean = Duration::try_from_secs_f64(seconds.max(0.0) / calls as f64).unwrap_or_default();
    format!("{mean:.1?}")
}

fn size(bytes: u64) -> String {
    const KIB: f64 = 1_024.0;
    let bytes = bytes as f64;
    if bytes >= KIB * KIB { format!("{:.1} MiB", bytes / (KIB * KIB)) } else { format!("{:.0} KiB", bytes / KIB) }
}

fn aligned(rows: &[[String; 8]]) -> String {
    let widths: [usize; 8] = std::array::from_fn(|column| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default()
    });
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let cell = if LEFT.contains(&column) { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
            let _ = write!(line, "{}{cell}", if column == 0 { "" } else { "  " });
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use palisade_contract::{Clock, SystemClock};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_phase_has_a_line_and_a_plugin_its_figures_in_the_first() {
        let phase = |calls: u64, seconds: f64, traps: u64| json!({ "calls": calls, "seconds": seconds, "failures": { "trap": traps, "deadline": 0 } });
        let plugin = |request: serde_json::Value, response: serde_json::Value| {
            json!({
                "name": "edge-firewall", "state": "running", "pending_error": null, "last_error": "request-filter: traps",
                "instances": 2, "memory_bytes": 3_670_016, "phases": { "request-filter": request, "response-filter": response },
            })
        };
        let gone = json!({ "name": "gone", "state": "failed", "pending_error": null, "last_error": null });
        let old = json!({
            "name": "old", "state": "running", "pending_error": "is cut off", "last_error": null, "instances": 1, "memory_bytes": 65_536,
            "phases": { "observer": phase(7, 0.1, 0) },
        });
        let figures = |plugins: serde_json::Value| {
            let value = json!({ "generation": 3, "problems": ["old.wasm is cut off\n  |"], "plugins": plugins });
            serde_json::from_value::<Figures>(value).expect("figures")
        };
        let at = SystemClock.now();
        let before = Moment { figures: figures(json!([plugin(phase(100, 1.0, 0), phase(0, 0.0, 0))])), at };
        let now = figures(json!([plugin(phase(300, 1.001, 4), phase(0, 0.0, 0)), gone, old]));
        let now = Moment { figures: now, at: at + Duration::from_secs(2) };
        let expected = "\
generation 3, 3 plugins

PLUGIN         PHASE            CALLS/S     MEAN  FAILED  INSTANCES   MEMORY  STATE
edge-firewall  request-filter     100.0    5.0µs       4          2  3.5 MiB  running
               response-filter      0.0        -       0
gone                                                            0    0 KiB  failed
old            observer             3.5   14.3ms       0          1   64 KiB  earlier version

failed last:
  edge-firewall: request-filter: traps

problems:
  old.wasm is cut off
";
        let found = render(&before, &now);
        let squeezed = |text: &str| {
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
        };
        assert_eq!(squeezed(&found), squeezed(expected));
        // Every column has one place in all lines.
        let column = found.lines().find_map(|line| line.find("STATE")).expect("a heading");
        assert!(found.lines().any(|line| line.get(column..) == Some("earlier version")), "{found}");
    }
}
