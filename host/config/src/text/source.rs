//! A place in the text in, the line with the place marked out.

use std::{ops::Range, path::Path};

use crate::problem::{Excerpt, Problem};

/// The config file's name and text.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    file: &'a Path,
    text: &'a str,
    line_starts: Vec<usize>,
}

/// Something to say about a place, not yet drawn.
#[derive(Debug)]
pub(crate) struct Note {
    /// Bytes of the text.
    pub(crate) span: Range<usize>,
    /// The way to the value.
    pub(crate) key: String,
    /// What is wrong.
    pub(crate) message: String,
}

impl<'a> Source<'a> {
    pub(crate) fn new(text: &'a str, file: &'a Path) -> Self {
        let after_line_ends = text.match_indices('\n').map(|(at, _)| at.saturating_add(1));
        Self { file, text, line_starts: std::iter::once(0).chain(after_line_ends).collect() }
    }

    pub(crate) fn file(&self) -> &'a Path {
        self.file
    }

    /// The line that a byte is on, counted from 1.
    pub(crate) fn line(&self, byte: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= byte)
    }

    pub(crate) fn problem(&self, note: Note) -> Problem {
        let Note { span, key, message } = note;
        let line = self.line(span.start);
        let start = self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let line_text = self.text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let before = self.characters(start..span.start);
        let excerpt = excerpt(line_text, before, self.characters(span));
        Problem { file: self.file.to_owned(), line, column: before.saturating_add(1), key, message, excerpt }
    }

    fn characters(&self, span: Range<usize>) -> usize {
        self.text.get(span).unwrap_or_default().chars().count()
    }
}

/// The part of a line around its `marked` characters, which stay on the line.
fn excerpt(line: &str, before: usize, marked: usize) -> Excerpt {
    let is_cut = line.chars().nth(CHARACTERS_MAX).is_some() && before > CHARACTERS_MAX / 2;
    let skipped = if is_cut { before.saturating_sub(CHARACTERS_MAX / 4) } else { 0 };
    let text: String = line.chars().skip(skipped).take(CHARACTERS_MAX).map(printable).collect();
    let before = before.saturating_sub(skipped);
    let marked = marked.min(text.chars().count().saturating_sub(before)).max(1);
    Excerpt { text, before, marked }
}

/// As wide as the character, so that the mark stays below its place.
fn printable(character: char) -> char {
    match character {
        '\t' => ' ',
        control if control.is_control() => char::REPLACEMENT_CHARACTER,
        other => other,
    }
}

const CHARACTERS_MAX: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_shown_in_its_line() {
        check("a = 1\nb = 2\n", 10..11, (2, 5), "b = 2", "    ^");
        check("\tä = \"ö\"\r\n", 6..10, (1, 6), " ä = \"ö\"", "     ^^^");
        check("a = '''\nb'''", 4..12, (1, 5), "a = '''", "    ^^^");
        check("a = \u{7}", 4..5, (1, 5), "a = \u{fffd}", "    ^");
    }

    #[test]
    fn a_place_at_the_end_or_outside_is_marked_too() {
        check("a =", 3..3, (1, 4), "a =", "   ^");
        check("", 0..0, (1, 1), "", "^");
        check("a\n", 2..2, (2, 1), "", "^");
        check("a", 7..9, (1, 1), "a", "^");
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let line = format!("{}x{}", "-".repeat(1_000), "-".repeat(1_000));
        let shown = format!("{}x{}", "-".repeat(40), "-".repeat(119));
        check(&line, 1_000..1_001, (1, 1_001), &shown, &format!("{}^", " ".repeat(40)));
    }

    #[track_caller]
    fn check(text: &str, span: Range<usize>, place: (usize, usize), line: &str, mark: &str) {
        let source = Source::new(text, Path::new("f"));
        let problem = source.problem(Note { span, key: String::new(), message: String::new() });
        let Excerpt { text, before, marked } = problem.excerpt;
        assert_eq!((problem.line, problem.column), place);
        assert_eq!((text.as_str(), " ".repeat(before) + &"^".repeat(marked)), (line, mark.to_owned()));
    }
}
