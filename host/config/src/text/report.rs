//! Collects what is wrong while a config is read.

use std::{cell::RefCell, collections::BTreeSet, ops::Range, path::Path};

use super::{
    nearest::nearest,
    source::{Note, Source},
    value::quoted,
};
use crate::{Problem, Problems};

/// Everything found so far about one text.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    source: Source<'a>,
    /// Lines that are not TOML. What is read from them, or is missing, says nothing more.
    broken_lines: BTreeSet<usize>,
    problems: RefCell<Vec<Note>>,
    warnings: RefCell<Vec<Note>>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(text: &'a str, file: &'a Path) -> Self {
        Self {
            source: Source::new(text, file),
            broken_lines: BTreeSet::new(),
            problems: RefCell::default(),
            warnings: RefCell::default(),
        }
    }

    /// Where relative paths start.
    pub(crate) fn folder(&self) -> &'a Path {
        self.source.file().parent().unwrap_or(Path::new(""))
    }

    /// Text that is not TOML; only the first such place of a line counts.
    pub(crate) fn broken(&mut self, span: Range<usize>, message: &str) {
        if self.broken_lines.insert(self.source.line(span.start)) {
            self.problems.get_mut().push(Note { span, key: String::new(), message: message.to_owned() });
        }
    }

    /// A value that cannot be used.
    pub(crate) fn problem(&self, span: Range<usize>, key: String, message: String) {
        if !self.broken_lines.contains(&self.source.line(span.start)) {
            self.problems.borrow_mut().push(Note { span, key, message });
        }
    }

    /// Something that is not there. Kept quiet where it may stand in a line that could not be read.
    pub(crate) fn absent(&self, span: Range<usize>, key: String, message: String) {
        if self.broken_lines.is_empty() {
            self.problem(span, key, message);
        }
    }

    /// Something that is allowed but hardly meant.
    pub(crate) fn warning(&self, span: Range<usize>, key: String, message: String) {
        self.warnings.borrow_mut().push(Note { span, key, message });
    }

    /// Whether a mistyped name was meant to be one of these. Once more problems are known than will be shown, no effort
    /// goes into this.
    pub(crate) fn did_you_mean<'n>(&self, typed: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
        if self.problems.borrow().len() > PROBLEMS_MAX {
            return None;
        }
        nearest(typed, names).map(|meant| format!("did you mean {}?", quoted(meant)))
    }

    /// What was read with the warnings, or else the problems. Whoever read nothing has reported why.
    pub(crate) fn finish<T>(self, read: Option<T>) -> Result<(T, Vec<Problem>), Problems> {
        match read {
            Some(read) if self.problems.borrow().is_empty() => {
                Ok((read, in_order(&self.source, self.warnings.into_inner())))
            }
            Some(_) | None => Err(self.into_problems()),
        }
    }

    /// The problems, in the order of the lines.
    pub(crate) fn into_problems(self) -> Problems {
        let notes = self.problems.into_inner();
        let more = notes.len().saturating_sub(PROBLEMS_MAX);
        Problems { file: self.source.file().to_owned(), list: in_order(&self.source, notes), more }
    }
}

fn in_order(source: &Source<'_>, mut notes: Vec<Note>) -> Vec<Problem> {
    notes.sort_by_key(|note| note.span.start);
    notes.into_iter().take(PROBLEMS_MAX).map(|note| source.problem(note)).collect()
}

const PROBLEMS_MAX: usize = 100;
