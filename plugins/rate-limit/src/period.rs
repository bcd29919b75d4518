//! Text such as `10s` or `1h` to the time in which a limit's requests may be made.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

/// How long a limit's requests are for: one second to one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub(crate) struct Period(pub(crate) Duration);

impl TryFrom<String> for Period {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let seconds = UNITS.iter().find_map(|(unit, seconds)| {
            let count = text.strip_suffix(unit)?.trim_end();
            let is_number = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| count.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(*seconds))
        });
        let Some(seconds) = seconds else {
            return Err(format!("{text:?} is not a period: expected a whole number with s, m, h or d, such as \"1m\""));
        };
        if !(1..=DAY).contains(&seconds) {
            return Err(format!("{text:?} is out of range: expected 1s to 1d"));
        }
        Ok(Self(Duration::from_secs(seconds)))
    }
}

const DAY: u64 = 86_400;
const UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3_600), ("d", DAY)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_has_a_number_and_a_unit() {
        check("1s", Ok(1));
        check("10 m", Ok(600));
        check("24h", Ok(86_400));
        check("1d", Ok(86_400));
        for text in ["0s", "2d", "99999999999999999999s"] {
            check(text, Err(&format!("{text:?} is out of range: expected 1s to 1d")));
        }
        for text in ["", "s", "1", "1 w", "-1s", "1.5s", "500ms", "1m "] {
            let expected = "expected a whole number with s, m, h or d, such as \"1m\"";
            check(text, Err(&format!("{text:?} is not a period: {expected}")));
        }
    }

    #[track_caller]
    fn check(text: &str, expected: Result<u64, &str>) {
        let found = Period::try_from(text.to_owned()).map(|period| period.0.as_secs());
        assert_eq!(found, expected.map_err(str::to_owned), "{text:?}");
    }
}
