//! What one request met, for a reader in a terminal.

use std::fmt::Write;

use palisade_contract::difference;

use super::report::{Endpoint, Report, Step};

/// Every step in order: its stage, its plugin, what it decided, how long it took, and below what it changed.
pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    let asked = if report.authority.is_empty() && report.target.is_empty() {
        "a request whose head was refused".to_owned()
    } else {
        format!("{} {}{}", report.method, report.authority, report.target)
    };
    let _ = writeln!(text, "{}, {} from {}", line(&asked), report.protocol, report.client);
    let named = [
        ("listener", Some(report.listener.as_str()).filter(|name| !name.is_empty())),
        ("route", report.route.as_deref()),
        ("upstream", report.upstream.as_deref()),
        ("endpoint", report.endpoint.as_deref()),
    ];
    let named: Vec<String> =
        named.iter().filter_map(|(what, name)| Some(format!("{what} {}", line(name.as_ref()?)))).collect();
    let _ = writeln!(text, "{}\n", named.join(", "));
    for plugin in &report.accepted_by {
        let _ = writeln!(text, "{:<21} {:<18} accepted the connection", "connection-filter", line(plugin));
    }
    report.steps.iter().for_each(|one| step(&mut text, one));
    for plugin in &report.observed_by {
        let _ = writeln!(text, "{:<21} {:<18} was told", "observer", line(plugin));
    }
    text.push('\n');
    if let Some(plugin) = &report.decided_by {
        let _ = writeln!(text, "decided by {}", line(plugin));
    }
    if let Some(error) = &report.error {
        let _ = writeln!(text, "error: {}", line(error));
    }
    let status = if report.status == 0 { "no answer".to_owned() } else { report.status.to_string() };
    let Report { ending, request_bytes, response_bytes, .. } = report;
    let time = time(report.micros as f64);
    let _ = writeln!(text, "{status}, {ending}, {time}; {request_bytes} bytes in, {response_bytes} bytes out");
    text
}

fn step(text: &mut String, step: &Step) {
    let plugin = line(step.plugin.as_deref().unwrap_or("the host"));
    let plugin = if step.in_shadow { format!("{plugin} (shadow)") } else { plugin };
    let took = step.micros.map(|micros| format!(" ({})", time(micros))).unwrap_or_default();
    let _ = writeln!(text, "{:<21} {plugin:<18} {}{took}", step.stage, line(&step.decision));
    for change in &step.changes {
        let _ = writeln!(text, "{:<23}{}", "", line(change));
    }
    if let Some(body) = &step.body {
        let _ = writeln!(text, "{:<23}{} bytes in {} pieces became {}", "", body.bytes_in, body.pieces, body.bytes_out);
    }
    for candidate in &step.candidates {
        let _ = writeln!(text, "{:<23}{}", "", of_candidate(candidate));
    }
}

fn of_candidate(of: &Endpoint) -> String {
    let zone = of.zone.as_deref().map(|zone| format!(", zone {zone}")).unwrap_or_default();
    let latency = if of.latency_micros == 0 { "unknown".to_owned() } else { time(f64::from(of.latency_micros)) };
    line(&format!(
        "{}: weight {}{zone}, {}, {}, {} in flight, latency {latency}, {} failures in a row",
        of.endpoint, of.weight, of.health, of.outcome, of.in_flight, of.failures
    ))
}

fn time(micros: f64) -> String {
    if micros < 1_000.0 { format!("{micros:.1} µs") } else { format!("{:.1} ms", micros / 1_000.0) }
}

/// One line, and no command to a terminal: much of this was written by a client.
fn line(text: &str) -> String {
    difference::text(text.as_bytes())
}
