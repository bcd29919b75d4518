//! The buckets of every histogram, chosen by the end of its name.
//!
//! The exporter takes buckets when it is built, before any plugin has declared anything. So the unit stands in the name,
//! as the Prometheus conventions have it anyway, and a histogram whose name and unit disagree is refused.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};
use palisade_contract::metrics::Unit;

/// A recorder that knows the buckets, not installed anywhere.
#[expect(clippy::expect_used, reason = "the exporter refuses empty lists of buckets alone, and these are not")]
pub(crate) fn recorder() -> PrometheusRecorder {
    let suffix = |unit| Matcher::Suffix(ending(unit).to_owned());
    PrometheusBuilder::new()
        .set_buckets(&NUMBERS)
        .and_then(|builder| builder.set_buckets_for_metric(suffix(Unit::Seconds), &SECONDS))
        .and_then(|builder| builder.set_buckets_for_metric(suffix(Unit::Bytes), &BYTES))
        .expect("no list of buckets is empty")
        .build_recorder()
}

/// Checks that a histogram's name says its unit.
///
/// # Errors
/// A sentence naming both.
pub(crate) fn agree(name: &str, unit: Unit) -> Result<(), String> {
    let told = [Unit::Seconds, Unit::Bytes].into_iter().find(|told| name.ends_with(ending(*told)));
    match (unit, told) {
        (Unit::None, None) => Ok(()),
        (unit, Some(told)) if unit == told => Ok(()),
        (Unit::Seconds | Unit::Bytes, _) => {
            let (unit, ending) = (word(unit), ending(unit));
            Err(format!("histogram {name:?} is in {unit}, so its name must end in {ending:?}"))
        }
        (Unit::None, Some(told)) => {
            let (unit, ending) = (word(told), ending(told));
            Err(format!("histogram {name:?} has no unit, so its name must not end in {ending:?}: declare it in {unit}"))
        }
    }
}

/// From 100 µs to a minute.
const SECONDS: [f64; 18] =
    [1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// From 64 B to 1 GiB in powers of four.
const BYTES: [f64; 13] = [
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    268_435_456.0,
    1_073_741_824.0,
];

/// From 1 to a million.
const NUMBERS: [f64; 19] =
    [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 1e2, 2e2, 5e2, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6];

fn ending(unit: Unit) -> &'static str {
    match unit {
        Unit::None => "",
        Unit::Seconds => "_seconds",
        Unit::Bytes => "_bytes",
    }
}

fn word(unit: Unit) -> &'static str {
    match unit {
        Unit::None => "no unit",
        Unit::Seconds => "seconds",
        Unit::Bytes => "bytes",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histograms_name_says_its_unit() {
        check("wait_seconds", Unit::Seconds, Ok(()));
        check("body_bytes", Unit::Bytes, Ok(()));
        check("items", Unit::None, Ok(()));
        check("wait", Unit::Seconds, Err(r#"histogram "wait" is in seconds, so its name must end in "_seconds""#));
        check(
            "w_bytes",
            Unit::Seconds,
            Err(r#"histogram "w_bytes" is in seconds, so its name must end in "_seconds""#),
        );
        check("body", Unit::Bytes, Err(r#"histogram "body" is in bytes, so its name must end in "_bytes""#));
        check(
            "a_bytes",
            Unit::None,
            Err(r#"histogram "a_bytes" has no unit, so its name must not end in "_bytes": declare it in bytes"#),
        );
    }

    fn check(name: &str, unit: Unit, expected: Result<(), &str>) {
        assert_eq!(agree(name, unit), expected.map_err(str::to_owned));
    }
}
