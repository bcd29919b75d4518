//! Durations as text: `500ms`, `2s`, `1m`, `1h`.

use std::{ops::RangeInclusive, time::Duration};

use crate::text::{Form, Value};

/// The range of most timeouts.
pub(crate) const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3_600);

/// Reads a duration in a range.
pub(crate) fn read(value: &Value<'_>, range: RangeInclusive<Duration>) -> Option<Duration> {
    let Some(duration) = parse(value.text(DURATION)?) else { return value.is_not(DURATION) };
    if range.contains(&duration) {
        return Some(duration);
    }
    value.is_out_of_range(written(*range.start()), written(*range.end()))
}

/// Reads a timeout of 1 ms to 1 h.
pub(crate) fn timeout(value: Value<'_>) -> Option<Duration> {
    read(&value, TIMEOUT)
}

/// Reads a timeout of 1 ms to 24 h.
pub(crate) fn long(value: Value<'_>) -> Option<Duration> {
    read(&value, *TIMEOUT.start()..=DAY)
}

/// Reads a timeout of 1 ms to 24 h, or `off`, which is ten years.
pub(crate) fn patience(value: Value<'_>) -> Option<Duration> {
    if value.raw().as_str() == Some("off") { Some(OFF) } else { long(value) }
}

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Longer than any process runs, and short enough to be added to any time.
const OFF: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// A number too large for a `Duration` is the longest one, which no range contains.
fn parse(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at_checked(unit_at)?;
    if digits.is_empty() {
        return None;
    }
    let (_, milliseconds) = UNITS.iter().find(|(name, _)| *name == unit.trim_start())?;
    let number: u64 = digits.parse().unwrap_or(u64::MAX);
    Some(Duration::from_millis(number.saturating_mul(*milliseconds)))
}

/// In the largest unit that gives a whole number.
fn written(duration: Duration) -> String {
    let total = duration.as_millis();
    let fits = UNITS.iter().find(|(_, milliseconds)| total > 0 && total.is_multiple_of(u128::from(*milliseconds)));
    match fits {
        Some((unit, milliseconds)) => format!("{}{unit}", total / u128::from(*milliseconds)),
        None => "0s".to_owned(),
    }
}

const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const DURATION: Form =
    Form { noun: "a duration", expected: "a whole number with ms, s, m or h, such as \"500ms\" or \"10s\"" };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_number_and_a_unit() {
        check("0s", Some(0));
        check("500ms", Some(500));
        check("2s", Some(2_000));
        check("1 m", Some(60_000));
        check("1h", Some(3_600_000));
        check("99999999999999999999h", Some(u64::MAX));
        for wrong in ["", "5", "s", "1.5s", "-1s", "1d", "1 S", "1s ", "１s", "1sm"] {
            check(wrong, None);
        }
    }

    #[track_caller]
    fn check(text: &str, milliseconds: Option<u64>) {
        assert_eq!(parse(text), milliseconds.map(Duration::from_millis), "{text}");
    }

    #[test]
    fn a_duration_is_written_in_its_largest_unit() {
        for text in ["0s", "1ms", "1500ms", "2s", "1m", "90s", "1h"] {
            assert_eq!(parse(text).map(written).as_deref(), Some(text));
        }
    }
}
