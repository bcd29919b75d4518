//! Two heads in, the lines that one has and the other has not out.

use http::HeaderMap;

use crate::{RequestHead, ResponseHead};

/// The lines of a request's head, as a client would send them.
#[must_use]
pub fn request(head: &RequestHead) -> Vec<String> {
    let mut lines = vec![format!("{} {}", head.method, head.target)];
    lines.extend(head.authority.as_ref().map(|authority| format!("host: {}", text(authority.as_bytes()))));
    lines.extend(fields(&head.headers));
    lines
}

/// The lines of a response's head.
#[must_use]
pub fn response(head: &ResponseHead) -> Vec<String> {
    std::iter::once(head.status.to_string()).chain(fields(&head.headers)).collect()
}

/// The lines of header fields.
pub fn fields(headers: &HeaderMap) -> impl Iterator<Item = String> {
    headers.iter().map(|(name, value)| format!("{name}: {}", text(value.as_bytes())))
}

/// Lines that are gone, then lines that are new, each marked.
#[must_use]
pub fn between(before: &[String], after: &[String]) -> Vec<String> {
    let gone = without(before, after).map(|line| format!("- {line}"));
    let new = without(after, before).map(|line| format!("+ {line}"));
    gone.chain(new).collect()
}

/// Text from outside, with nothing in it that a terminal would take for a command.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for letter in String::from_utf8_lossy(bytes).chars() {
        if letter.is_control() { shown.extend(letter.escape_default()) } else { shown.push(letter) }
    }
    shown
}

/// The lines of one list that another has not, or not as often.
fn without<'a>(lines: &'a [String], others: &[String]) -> impl Iterator<Item = &'a String> {
    let mut others: Vec<Option<&String>> = others.iter().map(Some).collect();
    lines.iter().filter(move |line| {
        let same = others.iter_mut().find(|other| other.as_ref() == Some(line));
        same.map(Option::take).is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_each_line_as_often_as_it_differs() {
        check("GET /|a: 1|b: 2", "GET /|a: 1|b: 2", "");
        check("GET /|a: 1", "GET /x|a: 1", "- GET /|+ GET /x");
        check("a: 1|a: 1", "a: 1", "- a: 1");
        check("a: 1", "a: 1|a: 1|b: 2", "+ a: 1|+ b: 2");
        check("a: 1|b: 2", "b: 2|a: 1", "");
    }

    #[track_caller]
    fn check(before: &str, after: &str, expected: &str) {
        let lines = |text: &str| text.split('|').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(between(&lines(before), &lines(after)).join("|"), expected, "{before} {after}");
    }

    #[test]
    fn what_comes_from_outside_is_no_command_to_a_terminal() {
        assert_eq!(text(b"a\x1b[0m\xff\xc3\xbc"), "a\\u{1b}[0m\u{fffd}ü");
    }
}
