//! One table of the text: hands out the values of its keys, and knows which keys nobody asked for.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::{
    Report, Value,
    value::{Form, any_of, quoted},
};
use crate::name;

/// A table whose keys are being read. It ends with [`Table::finish`], which reports the keys that were not asked for.
#[derive(Debug)]
#[must_use]
pub(crate) struct Table<'a> {
    report: &'a Report<'a>,
    key: String,
    span: Range<usize>,
    entries: &'a DeTable<'a>,
    noun: &'static str,
    asked: Vec<&'static str>,
}

impl<'a> Table<'a> {
    pub(super) fn new(
        report: &'a Report<'a>,
        key: String,
        span: Range<usize>,
        entries: &'a DeTable<'a>,
        noun: &'static str,
    ) -> Self {
        Self { report, key, span, entries, noun, asked: Vec::new() }
    }

    /// The table that is the whole text.
    pub(crate) fn root(report: &'a Report<'a>, entries: &'a DeTable<'a>) -> Self {
        Self::new(report, String::new(), 0..0, entries, "the config")
    }

    /// Whether the key is there, whatever its value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The value of a key that may be left out.
    pub(crate) fn value(&mut self, name: &'static str) -> Option<Value<'a>> {
        self.asked.push(name);
        let raw = self.entries.get(name)?;
        Some(Value::new(self.report, self.child(name), raw))
    }

    /// What a key that may be left out says.
    pub(crate) fn optional<T>(&mut self, name: &'static str, read: impl FnOnce(Value<'a>) -> Option<T>) -> Option<T> {
        self.value(name).and_then(read)
    }

    /// What a key says, or its default.
    pub(crate) fn or<T>(&mut self, name: &'static str, default: T, read: impl FnOnce(Value<'a>) -> Option<T>) -> T {
        self.optional(name, read).unwrap_or(default)
    }

    /// What a key that may not be left out says.
    pub(crate) fn required<T>(&mut self, name: &'static str, read: impl FnOnce(Value<'a>) -> Option<T>) -> Option<T> {
        if !self.has(name) {
            self.missing(name, &format!("{} needs it", self.noun));
        }
        self.optional(name, read)
    }

    /// Reports those of these keys that are there.
    pub(crate) fn refuse_all<const N: usize>(&mut self, keys: [&'static str; N], why: &str) {
        for value in keys.into_iter().filter_map(|key| self.value(key)) {
            value.refuse::<()>(why);
        }
    }

    /// Reports a key that is not there, at the head of the table; `why` says who needs it.
    pub(crate) fn missing(&self, name: &str, why: &str) {
        self.report.absent(self.span.clone(), self.child(name), format!("is missing: {why}"));
    }

    /// The tables in a table whose keys are names that the operator chose, in the order of the text.
    pub(crate) fn named(&mut self, name: &'static str, form: Form) -> Vec<(&'a str, Value<'a>)> {
        let Some(value) = self.value(name) else { return Vec::new() };
        let DeValue::Table(entries) = value.raw() else {
            return value.is_not::<Vec<_>>(form).unwrap_or_default();
        };
        let mut in_order: Vec<_> = entries.iter().collect();
        in_order.sort_by_key(|(key, _)| key.span().start);
        let mut named = Vec::with_capacity(in_order.len());
        for (key, raw) in in_order {
            let path = child(value.key(), key.get_ref());
            if !name::is_name(key.get_ref()) {
                let message =
                    format!("{} is not {}: expected {}", quoted(key.get_ref()), name::NAME.noun, name::NAME.expected);
                self.report.problem(key.span(), path.clone(), message);
            }
            named.push((key.get_ref().as_ref(), Value::new(self.report, path, raw)));
        }
        named
    }

    /// Reports the keys that nobody asked for.
    pub(crate) fn finish(self) {
        for key in self.entries.keys() {
            let name = key.get_ref().as_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let asked = self.asked.iter().copied();
            let expected = self.report.did_you_mean(name, asked);
            let expected = expected.unwrap_or_else(|| format!("expected {}", any_of(&self.asked)));
            self.report.problem(key.span(), self.child(name), format!("is not a key of {}: {expected}", self.noun));
        }
    }

    fn child(&self, name: &str) -> String {
        child(&self.key, name)
    }
}

/// The way to a key of a table; keys that TOML wants quoted are quoted.
pub(super) fn child(table: &str, name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let name = if !name.is_empty() && name.len() <= BARE_MAX && name.chars().all(is_bare) {
        name.to_owned()
    } else {
        quoted(name)
    };
    if table.is_empty() { name } else { format!("{table}.{name}") }
}

const BARE_MAX: usize = 64;
