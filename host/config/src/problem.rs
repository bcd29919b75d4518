//! What is wrong with a config file, said so that it can be found and mended.

use std::{
    error::Error,
    fmt::{self, Display, Formatter},
    path::PathBuf,
};

/// One thing that is wrong at one place.
///
/// Shown as `file:line:column: key: message`, then the line with the place
/// marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The config file.
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
    /// Characters of the line, counted from 1.
    pub column: usize,
    /// The way to the value, such as `listener[0].bind[1]`; empty where the text is not TOML.
    pub key: String,
    /// What was found and what was expected: lower case, no full stop.
    pub message: String,
    /// The part of the line that is shown, at most 160 characters, and where the mark stands in it.
    pub(crate) excerpt: Excerpt,
}

/// A piece of one line with the characters that matter marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// Printable, without a line end.
    pub(crate) text: String,
    /// Characters before the mark.
    pub(crate) before: usize,
    /// Characters marked, at least one.
    pub(crate) marked: usize,
}

impl Display for Problem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { line, column, key, message, excerpt, .. } = self;
        write!(f, "{}:{line}:{column}: ", self.file.display())?;
        if !key.is_empty() {
            write!(f, "{key}: ")?;
        }
        let margin = " ".repeat(line.to_string().len());
        let (indent, carets) = (" ".repeat(excerpt.before), "^".repeat(excerpt.marked));
        write!(f, "{message}\n{margin} |\n{line} | {}\n{margin} | {indent}{carets}", excerpt.text)
    }
}

/// Why a text is no config: at least one problem, in the order of the lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    pub(crate) file: PathBuf,
    pub(crate) list: Vec<Problem>,
    /// How many more were found than are kept.
    pub(crate) more: usize,
}

impl Problems {
    /// The first 100, in the order of the lines.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Display for Problems {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for problem in &self.list {
            writeln!(f, "{problem}\n")?;
        }
        let count = self.list.len().saturating_add(self.more);
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(f, "{count} {noun} in {}", self.file.display())?;
        if self.more > 0 { write!(f, ", the first {} of them shown", self.list.len()) } else { Ok(()) }
    }
}

impl Error for Problems {}
