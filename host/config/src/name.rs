//! The names that the operator gives to plugins, upstreams, listeners and routes.

use crate::text::{Form, Seen, Value};

/// How a name is written.
pub(crate) const NAME: Form = Form {
    noun: "a name",
    expected: "a lower-case letter, then at most 62 lower-case letters, digits or hyphens, such as \"web-1\"",
};

/// Reads a name.
pub(crate) fn read(value: &Value<'_>) -> Option<String> {
    let text = value.text(NAME)?;
    if is_name(text) { Some(text.to_owned()) } else { value.is_not(NAME) }
}

/// Reads a name that no other of its kind has.
pub(crate) fn read_unique(value: &Value<'_>, names: &mut Seen<String>) -> Option<String> {
    let name = read(value)?;
    match names.insert(name.clone(), value) {
        Ok(()) => Some(name),
        Err(first) => value.refuse(format!("{} is {first} already", value.found())),
    }
}

pub(crate) fn is_name(text: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.len() <= LENGTH_MAX && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(is_inner)
}

const LENGTH_MAX: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_short_lower_case_word() {
        let longest = "a".repeat(63);
        for name in ["a", "web-1", "x509-", &longest] {
            assert!(is_name(name), "{name}");
        }
        let too_long = "a".repeat(64);
        for other in ["", "A", "1a", "-a", "a_b", "a.b", "ä", &too_long] {
            assert!(!is_name(other), "{other}");
        }
    }
}
