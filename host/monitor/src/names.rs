//! Whose a metric's name is, and of which kind: one name never prints two things.

use std::collections::HashMap;

use palisade_contract::metrics::Kind;

use crate::catalogue::HostMetric;

/// Every name that `/metrics` prints, with those that a histogram prints beside its own.
#[derive(Debug)]
pub(crate) struct Names(HashMap<String, Claim>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Claim {
    /// One of the host's own.
    Host,
    /// Declared by a plugin.
    Plugin(Kind),
    /// Printed by the histogram of this name.
    Part(String),
}

impl Names {
    /// The names of the host's own metrics.
    pub(crate) fn new(host: &[HostMetric]) -> Self {
        let parts = host.iter().flat_map(|metric| parts(metric.name, metric.kind));
        let names = host.iter().map(|metric| metric.name.to_owned()).chain(parts);
        Self(names.map(|name| (name, Claim::Host)).collect())
    }

    /// Takes a name for a plugin's metric. The same name and kind may be taken again and again.
    ///
    /// # Errors
    /// A sentence saying what the name stands for already.
    pub(crate) fn claim(&mut self, name: &str, kind: Kind) -> Result<(), String> {
        match self.0.get(name) {
            Some(Claim::Plugin(taken)) if *taken == kind => return Ok(()),
            Some(Claim::Plugin(taken)) => {
                let (taken, kind) = (word(*taken), word(kind));
                return Err(format!("metric {name:?} is a {taken} already and cannot be a {kind} too"));
            }
            Some(Claim::Host) => return Err(format!("metric {name:?} is one of the host's own")),
            Some(Claim::Part(of)) => return Err(format!("metric {name:?} is a part of the histogram {of:?}")),
            None => {}
        }
        let parts = parts(name, kind);
        if let Some(part) = parts.iter().find(|part| self.0.contains_key(*part)) {
            return Err(format!("histogram {name:?} prints {part:?} too, which is a metric of its own already"));
        }
        self.0.extend(parts.into_iter().map(|part| (part, Claim::Part(name.to_owned()))));
        self.0.insert(name.to_owned(), Claim::Plugin(kind));
        Ok(())
    }
}

/// What a metric prints beside its own name.
fn parts(name: &str, kind: Kind) -> Vec<String> {
    match kind {
        Kind::Counter | Kind::Gauge => Vec::new(),
        Kind::Histogram => ["bucket", "sum", "count"].map(|part| format!("{name}_{part}")).into(),
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;

    #[test]
    fn a_name_stands_for_one_thing() {
        check(&[("a", Kind::Counter), ("a", Kind::Counter)], Ok(()));
        check(&[("a", Kind::Counter), ("b", Kind::Gauge), ("c", Kind::Histogram), ("c", Kind::Histogram)], Ok(()));
        check(
            &[("a", Kind::Counter), ("a", Kind::Gauge)],
            Err(r#"metric "a" is a counter already and cannot be a gauge too"#),
        );
        check(
            &[("a", Kind::Histogram), ("a", Kind::Counter)],
            Err(r#"metric "a" is a histogram already and cannot be a counter too"#),
        );
        check(
            &[("a", Kind::Histogram), ("a_sum", Kind::Counter)],
            Err(r#"metric "a_sum" is a part of the histogram "a""#),
        );
        check(
            &[("a_count", Kind::Counter), ("a", Kind::Histogram)],
            Err(r#"histogram "a" prints "a_count" too, which is a metric of its own already"#),
        );
        check(
            &[("palisade_requests_total", Kind::Counter)],
            Err(r#"metric "palisade_requests_total" is one of the host's own"#),
        );
        check(
            &[("palisade_request_duration_seconds_sum", Kind::Counter)],
            Err(r#"metric "palisade_request_duration_seconds_sum" is one of the host's own"#),
        );
    }

    #[track_caller]
    fn check(claims: &[(&str, Kind)], last: Result<(), &str>) {
        let mut names = Names::new(catalogue::ALL);
        let (end, before) = claims.split_last().expect("a claim");
        for (name, kind) in before {
            assert_eq!(names.claim(name, *kind), Ok(()));
        }
        assert_eq!(names.claim(end.0, end.1), last.map_err(str::to_owned));
    }
}
