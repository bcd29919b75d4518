//! Names that refer to plugins and upstreams: name in, index out.

use std::{cell::RefCell, collections::HashMap};

use crate::{name, text::Value};

/// The names of one kind, and which of them were used.
#[derive(Debug)]
pub(crate) struct References<'a> {
    noun: &'static str,
    indices: HashMap<&'a str, usize>,
    used: RefCell<Vec<bool>>,
}

impl<'a> References<'a> {
    /// `noun`, without an article, is what the names stand for; the order gives the indices.
    pub(crate) fn new(noun: &'static str, named: &[(&'a str, Value<'a>)]) -> Self {
        let indices = named.iter().enumerate().map(|(index, (name, _))| (*name, index)).collect();
        Self { noun, indices, used: RefCell::new(vec![false; named.len()]) }
    }

    /// The index of what a value names.
    pub(crate) fn find(&self, value: &Value<'_>) -> Option<usize> {
        let text = value.text(name::NAME)?;
        let Some(index) = self.indices.get(text).copied() else {
            return value.lacks(self.unknown(text, value));
        };
        if let Some(used) = self.used.borrow_mut().get_mut(index) {
            *used = true;
        }
        Some(index)
    }

    /// Warns of each that no value named.
    pub(crate) fn warn_of_unused(&self, named: &[(&'a str, Value<'a>)], message: &str) {
        for ((_, value), used) in named.iter().zip(self.used.borrow().iter()) {
            if !used {
                value.warn(message);
            }
        }
    }

    fn unknown(&self, text: &str, value: &Value<'_>) -> String {
        let noun = self.noun;
        let expected = value.report().did_you_mean(text, self.indices.keys().copied());
        let expected = expected.unwrap_or_else(|| format!("expected the NAME of a [{noun}.NAME]"));
        format!("no {noun} is called {}: {expected}", value.found())
    }
}
