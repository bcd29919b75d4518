//! One value of the text and the way to it.

use std::{fmt::Display, ops::Range, ops::RangeInclusive};

use toml::{
    Spanned,
    de::{DeInteger, DeValue},
};

use super::{Report, Table, table::child};

/// A value that can be read as what the config needs. What it cannot be read as is reported, and reads as `None`.
#[derive(Debug, Clone)]
pub(crate) struct Value<'a> {
    pub(super) report: &'a Report<'a>,
    pub(super) key: String,
    pub(super) span: Range<usize>,
    pub(super) raw: &'a DeValue<'a>,
}

/// What a value should have been, in words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    /// With its article: `an address`.
    pub(crate) noun: &'static str,
    /// How it is written, with an example.
    pub(crate) expected: &'static str,
}

impl<'a> Value<'a> {
    pub(super) fn new(report: &'a Report<'a>, key: String, raw: &'a Spanned<DeValue<'a>>) -> Self {
        Self { report, key, span: raw.span(), raw: raw.get_ref() }
    }

    /// The way to it, such as `listener[0].bind[1]`.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    pub(crate) fn raw(&self) -> &'a DeValue<'a> {
        self.raw
    }

    pub(crate) fn report(&self) -> &'a Report<'a> {
        self.report
    }

    /// Reports the value; always `None`.
    pub(crate) fn refuse<T>(&self, message: impl Into<String>) -> Option<T> {
        self.report.problem(self.span.clone(), self.key.clone(), message.into());
        None
    }

    /// Reports that something which the value needs is not there; always `None`.
    pub(crate) fn lacks<T>(&self, message: String) -> Option<T> {
        self.report.absent(self.span.clone(), self.key.clone(), message);
        None
    }

    /// Reports what the value should have been; always `None`.
    pub(crate) fn is_not<T>(&self, form: Form) -> Option<T> {
        self.refuse(format!("{} is not {}: expected {}", self.found(), form.noun, form.expected))
    }

    /// Reports a value that is too small or too large; always `None`.
    pub(crate) fn is_out_of_range<T>(&self, first: impl Display, last: impl Display) -> Option<T> {
        self.refuse(format!("{} is out of range: expected {first} to {last}", self.found()))
    }

    pub(crate) fn warn(&self, message: impl Into<String>) {
        self.report.warning(self.span.clone(), self.key.clone(), message.into());
    }

    /// What the operator wrote, short enough for a message.
    pub(crate) fn found(&self) -> String {
        match self.raw {
            DeValue::String(text) => quoted(text),
            DeValue::Integer(number) => shortened(&number.to_string()),
            DeValue::Float(number) => shortened(&number.to_string()),
            DeValue::Boolean(truth) => truth.to_string(),
            DeValue::Datetime(time) => time.to_string(),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        }
    }

    pub(crate) fn text(&self, form: Form) -> Option<&'a str> {
        self.raw.as_str().or_else(|| self.is_not(form))
    }

    pub(crate) fn boolean(&self) -> Option<bool> {
        self.raw.as_bool().or_else(|| self.is_not(BOOLEAN))
    }

    /// A whole number in a range.
    pub(crate) fn whole<T>(&self, range: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<u64> + PartialOrd + Display,
    {
        let DeValue::Integer(integer) = self.raw else {
            let (first, last) = (range.start(), range.end());
            return self.refuse(format!("{} is not a whole number: expected {first} to {last}", self.found()));
        };
        number(integer)
            .and_then(|number| T::try_from(number).ok())
            .filter(|number| range.contains(number))
            .or_else(|| self.is_out_of_range(range.start(), range.end()))
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(&self, noun: &str, choices: &[(&str, T)]) -> Option<T> {
        let chosen = self.raw.as_str().and_then(|text| choices.iter().find(|(word, _)| *word == text));
        chosen.map(|(_, choice)| *choice).or_else(|| {
            let words: Vec<String> = choices.iter().map(|(word, _)| quoted(word)).collect();
            self.refuse(format!("{} is not {noun}: expected {}", self.found(), any_of(&words)))
        })
    }

    /// The elements of a list.
    pub(crate) fn list(&self, form: Form) -> Option<Vec<Value<'a>>> {
        if self.raw.is_array() { Some(self.elements().collect()) } else { self.is_not(form) }
    }

    /// The elements of a list, or the value itself if it is not one.
    pub(crate) fn one_or_more(&self) -> Vec<Value<'a>> {
        if self.raw.is_array() { self.elements().collect() } else { vec![self.clone()] }
    }

    /// The elements, of which only a list has any.
    pub(crate) fn elements(&self) -> impl Iterator<Item = Value<'a>> {
        let elements = self.raw.as_array().into_iter().flat_map(|elements| elements.iter());
        elements.enumerate().map(|(position, raw)| Value::new(self.report, format!("{}[{position}]", self.key), raw))
    }

    /// The keys and their values, in alphabetical order; only a table has any.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        let entries = self.raw.as_table().into_iter().flatten();
        entries
            .map(|(key, raw)| (key.get_ref().as_ref(), Value::new(self.report, child(&self.key, key.get_ref()), raw)))
    }

    /// The keys of a table; `noun` with its article is what the table describes.
    pub(crate) fn table(&self, noun: &'static str) -> Option<Table<'a>> {
        let DeValue::Table(entries) = self.raw else {
            return self.refuse(format!("{} is not a table: expected the keys of {noun}", self.found()));
        };
        Some(Table::new(self.report, self.key.clone(), self.span.clone(), entries, noun))
    }
}

/// A string as the operator would write it, cut where it is long.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", shortened(text).escape_debug())
}

/// Alternatives in a sentence: `a, b or c`.
pub(crate) fn any_of<T: AsRef<str>>(words: &[T]) -> String {
    let mut sentence = String::new();
    for (position, word) in words.iter().enumerate() {
        let before = match words.len().saturating_sub(position) {
            _ if position == 0 => "",
            1 => " or ",
            _ => ", ",
        };
        sentence.push_str(before);
        sentence.push_str(word.as_ref());
    }
    sentence
}

/// The number, if it is not negative and fits.
pub(crate) fn number(integer: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

pub(super) fn shortened(text: &str) -> String {
    let mut characters = text.chars();
    let mut short: String = characters.by_ref().take(CHARACTERS_MAX).collect();
    if characters.next().is_some() {
        short.push('…');
    }
    short
}

const CHARACTERS_MAX: usize = 64;
const BOOLEAN: Form = Form { noun: "a boolean", expected: "true or false" };
