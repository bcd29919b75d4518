//! The query that the client wrote, in; the decoded values of one of its parameters, out.

use crate::{path::percent_decoded, value_test::ValueTest};

/// Whether a parameter of this name meets the test: any of them, where it comes several times.
///
/// Names and values are decoded as in `application/x-www-form-urlencoded` (WHATWG URL, section 5.1): `+` is a space,
/// and what is no escape stays as it was written. `decoded` is memory to work in.
pub(crate) fn meets(query: Option<&str>, name: &str, test: &ValueTest, decoded: &mut Vec<u8>) -> bool {
    let mut there = false;
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        decode(key, decoded);
        if decoded != name.as_bytes() {
            continue;
        }
        there = true;
        decode(value, decoded);
        if test.is_met_by(decoded) {
            return true;
        }
    }
    !there && test.is_met_by_absence()
}

fn decode(text: &str, decoded: &mut Vec<u8>) {
    decoded.clear();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escape = (*first == b'%').then(|| after.split_first_chunk()).flatten();
        let escape = escape.and_then(|(digits, after)| Some((percent_decoded(*digits)?, after)));
        let plain = if *first == b'+' { b' ' } else { *first };
        let (byte, after) = escape.unwrap_or((plain, after));
        decoded.push(byte);
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: Option<&str>, name: &str, value: &str, expected: bool) {
        let test = ValueTest::Equals { value: value.to_owned(), ignore_case: false };
        assert_eq!(meets(query, name, &test, &mut Vec::new()), expected, "{query:?}: {name} = {value}");
    }

    #[test]
    fn names_and_values_are_decoded() {
        check(Some("a=1&b=2"), "b", "2", true);
        check(Some("%61=x%20y+z"), "a", "x y z", true);
        check(Some("a=%zz%4"), "a", "%zz%4", true);
        check(Some("a=b=c"), "a", "b=c", true);
        check(Some("a"), "a", "", true);
        check(Some("ab=1"), "a", "1", false);
        check(None, "a", "", false);
    }

    #[test]
    fn any_of_several_values_is_enough() {
        check(Some("a=1&a=2"), "a", "2", true);
        check(Some("a=1&a=2"), "a", "3", false);
    }

    #[test]
    fn a_parameter_is_absent_where_no_pair_has_its_name() {
        let mut memory = Vec::new();
        assert!(meets(None, "a", &ValueTest::Absent, &mut memory));
        assert!(meets(Some("&b=1&"), "a", &ValueTest::Absent, &mut memory));
        assert!(!meets(Some("b=1&%61"), "a", &ValueTest::Absent, &mut memory));
        assert!(meets(Some("b=1&%61"), "a", &ValueTest::Present, &mut memory));
    }
}
