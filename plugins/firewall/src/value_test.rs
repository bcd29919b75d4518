//! What a rule asks of a header or of a query parameter: that it is there, that it is not, or what one of its values
//! is.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::pattern::Pattern;

/// One test.
#[derive(Debug, Clone)]
pub(crate) enum ValueTest {
    /// It is there, with whatever value.
    Present,
    /// It is not there.
    Absent,
    /// One of its values is this.
    Equals {
        /// The whole value.
        value: String,
        /// Whether ASCII letters count without regard to case.
        ignore_case: bool,
    },
    /// The pattern is found in one of its values.
    Matches(Pattern),
}

impl ValueTest {
    /// Whether one value is enough to meet the test.
    pub(crate) fn is_met_by(&self, value: &[u8]) -> bool {
        match self {
            Self::Present => true,
            Self::Absent => false,
            Self::Equals { value: expected, ignore_case: true } => value.eq_ignore_ascii_case(expected.as_bytes()),
            Self::Equals { value: expected, ignore_case: false } => value == expected.as_bytes(),
            Self::Matches(pattern) => pattern.is_in(value),
        }
    }

    /// Whether it is met where there is no value.
    pub(crate) fn is_met_by_absence(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// A named value and its test, as settings write it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamedTest {
    /// The name of the header (in any case) or of the query parameter (decoded).
    name: String,
    /// True: it is there, with whatever value.
    present: Option<bool>,
    /// True: it is not there.
    absent: Option<bool>,
    /// One of its values is exactly this.
    equals: Option<String>,
    /// This text is in one of its values.
    contains: Option<String>,
    /// This expression is found in one of its values.
    regex: Option<Pattern>,
    /// With `equals` and `contains`: ASCII letters count without regard to case.
    #[serde(default)]
    ignore_case: bool,
}

impl NamedTest {
    /// The name and what is asked.
    ///
    /// # Errors
    ///
    /// A sentence, where it asks for nothing or for several things at once.
    pub(crate) fn parse(self) -> Result<(String, ValueTest), String> {
        let ignore_case = self.ignore_case;
        let textual = self.equals.is_some() || self.contains.is_some();
        let test = match (self.present, self.absent, self.equals, self.contains, self.regex) {
            (Some(true), None, None, None, None) => ValueTest::Present,
            (None, Some(true), None, None, None) => ValueTest::Absent,
            (None, None, Some(value), None, None) => ValueTest::Equals { value, ignore_case },
            (None, None, None, Some(text), None) => ValueTest::Matches(Pattern::literal(&text, ignore_case)?),
            (None, None, None, None, Some(pattern)) => ValueTest::Matches(pattern),
            _ => {
                return Err("expected one of present = true, absent = true, equals, contains and regex".to_owned());
            }
        };
        if ignore_case && !textual {
            return Err("ignore_case goes with equals and contains; a regex begins with (?i)".to_owned());
        }
        Ok((self.name, test))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(mut settings: Value) -> Result<ValueTest, String> {
        settings["name"] = "x".into();
        serde_json::from_value::<NamedTest>(settings).unwrap().parse().map(|(_, test)| test)
    }

    fn check(settings: Value, met: &[&[u8]], missed: &[&[u8]]) {
        let test = parse(settings.clone()).unwrap();
        for value in met {
            assert!(test.is_met_by(value), "{settings} by {}", value.escape_ascii());
        }
        for value in missed {
            assert!(!test.is_met_by(value), "{settings} by {}", value.escape_ascii());
        }
    }

    #[test]
    fn each_test_looks_at_one_value() {
        check(json!({ "present": true }), &[b"", b"a", b"\xff"], &[]);
        check(json!({ "absent": true }), &[], &[b"", b"a"]);
        check(json!({ "equals": "a" }), &[b"a"], &[b"A", b"", b"ab"]);
        check(json!({ "equals": "a", "ignore_case": true }), &[b"a", b"A"], &[b"b"]);
        check(json!({ "contains": "b.c" }), &[b"ab.cd", b"\xffb.c"], &[b"abXc", b"B.C"]);
        check(json!({ "contains": "b.c", "ignore_case": true }), &[b"aB.Cd"], &[b"bc"]);
        check(json!({ "regex": "^[0-9]+$" }), &[b"17"], &[b"", b"1x"]);
    }

    #[test]
    fn a_test_asks_for_exactly_one_thing() {
        let expected = "expected one of present = true, absent = true, equals, contains and regex";
        for settings in [
            json!({}),
            json!({ "present": false }),
            json!({ "present": true, "absent": true }),
            json!({ "equals": "a", "contains": "b" }),
            json!({ "regex": "a", "present": true }),
        ] {
            assert_eq!(parse(settings).unwrap_err(), expected);
        }
        let both = json!({ "regex": "a", "ignore_case": true });
        assert_eq!(parse(both).unwrap_err(), "ignore_case goes with equals and contains; a regex begins with (?i)");
    }
}
