//! How endpoints are goes in; a table of it comes out.

use std::fmt::Write;

use super::Listed;
use super::figures::Entry;

const HEADINGS: [&str; 9] = ["UPSTREAM", "ENDPOINT", "STATE", "SHARE", "IN FLIGHT", "REQ/S", "FAILED", "P50", "P99"];

/// The columns that begin on the left.
const LEFT: usize = 3;

/// A line for each endpoint, and below the table why some are not healthy.
pub(super) fn render(listed: &Listed) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(listed.endpoints.iter().map(row));
    let widths: [usize; 9] = std::array::from_fn(|column| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default()
    });
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let between = if column == 0 { "" } else { "  " };
            let cell = if column < LEFT { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
            let _ = write!(line, "{between}{cell}");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let reasons = listed.endpoints.iter().filter_map(|entry| Some((entry, entry.reason.as_ref()?)));
    for (index, (entry, reason)) in reasons.enumerate() {
        let begin = if index == 0 { "\n" } else { "" };
        let _ = writeln!(text, "{begin}{}/{}: {reason}", entry.upstream, entry.endpoint);
    }
    text
}

fn row(entry: &Entry) -> [String; 9] {
    let minute = &entry.last_minute;
    let latency = |latency: Option<f64>| latency.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"));
    [
        entry.upstream.clone(),
        entry.endpoint.clone(),
        entry.state.clone(),
        format!("{:.0} %", entry.share * 100.0),
        entry.in_flight.to_string(),
        format!("{:.1}", minute.requests_per_second),
        minute.failed.to_string(),
        latency(minute.p50_ms),
        latency(minute.p99_ms),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_endpoint_has_a_line_and_one_that_is_down_a_reason() {
        let entry = |endpoint: &str, state: &str, reason: Option<&str>, p50: Option<f64>| {
            json!({
                "upstream": "web", "endpoint": endpoint, "state": state, "reason": reason, "since": 1.5, "weight": 1, "share": 0.4,
                "in_flight": 2, "failures_in_a_row": 0, "ejections": 0,
                "last_minute": { "requests_per_second": 12.34, "answered": 9, "failed": 1, "p50_ms": p50, "p90_ms": p50, "p99_ms": p50 },
            })
        };
        let listed = json!({ "endpoints": [
            entry("10.0.1.11:8443", "healthy", None, Some(1.26)),
            entry("10.0.1.12:8443", "unhealthy", Some("check: it answers 500"), None),
        ] });
        let listed = serde_json::from_value(listed).expect("what a host says");
        let expected = "\
UPSTREAM  ENDPOINT        STATE      SHARE  IN FLIGHT  REQ/S  FAILED     P50     P99
web       10.0.1.11:8443  healthy     40 %          2   12.3       1  1.3 ms  1.3 ms
web       10.0.1.12:8443  unhealthy   40 %          2   12.3       1       -       -

web/10.0.1.12:8443: check: it answers 500
";
        assert_eq!(render(&listed), expected);
    }
}
