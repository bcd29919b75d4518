//! Text in, a tree of values out, and a report of the places that are not TOML.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, Error},
};

use super::{Report, value::shortened};

/// The tree of a text; `None` where its shape is lost, so that reading on would only find consequences.
pub(crate) fn parse<'a>(text: &'a str, report: &mut Report<'_>) -> Option<Spanned<DeTable<'a>>> {
    let (root, mut errors) = DeTable::parse_recoverable(text);
    errors.sort_by_key(|error| span(error).start);
    let lost_at = errors.iter().position(loses_the_shape);
    let kept = lost_at.map_or(errors.len(), |at| at.saturating_add(1));
    for error in errors.iter().take(kept) {
        let (span, message) = explained(error, text);
        report.broken(span, &message);
    }
    lost_at.is_none().then_some(root)
}

fn span(error: &Error) -> Range<usize> {
    error.span().unwrap_or_default()
}

/// Whether what follows an error may have been read as something else: a bracket or a long string was not closed.
fn loses_the_shape(error: &Error) -> bool {
    let signs = ["unclosed", "missing comma", "in array", "inline table", "multi-line", "recurs"];
    signs.iter().any(|sign| error.message().contains(sign))
}

/// The parser's message, in the operator's words for the two mistakes that are made most.
fn explained(error: &Error, text: &str) -> (Range<usize>, String) {
    let (message, span) = (error.message(), span(error));
    if NO_VALUE.iter().any(|start| message.starts_with(start)) {
        let word = word(span, text);
        let found = text.get(word.clone()).filter(|word| !word.is_empty()).unwrap_or("nothing");
        let expected = "expected text in quotes, a number, true or false";
        return (word, format!("{} is not a value: {expected}", shortened(found).escape_debug()));
    }
    if message.starts_with("missing comma") {
        return (span, "expected a comma or a closing bracket before this".to_owned());
    }
    let message = message.strip_suffix(", expected nothing").unwrap_or(message);
    (span, message.to_owned())
}

/// What the parser says of a word that is no value, by the first letter of the word.
const NO_VALUE: [&str; 3] = ["string values must be quoted", "invalid float", "invalid boolean"];

/// A part of an unquoted value in, the value from its start out.
fn word(part: Range<usize>, text: &str) -> Range<usize> {
    let before = text.get(..part.start).unwrap_or_default();
    let ends_before = |c: char| c.is_whitespace() || matches!(c, '=' | ',' | '[' | '{');
    let start = before.trim_end_matches(|c| !ends_before(c)).len();
    start..part.end
}
