//! The names of this thread's test hosts: text ↔ number. Shared by all of them, since plugins may remember a name's text.

use std::cell::RefCell;

use crate::Name;

impl Name {
    /// The name with this text, for tests: the same text gives the same name on one thread.
    pub fn for_test(text: &str) -> Self {
        Self::from_number(number(text))
    }
}

/// The number of a text, made up if it is new. Zero for the empty text.
pub(crate) fn number(text: &str) -> u32 {
    NAMES.with_borrow_mut(|names| {
        let index = names.iter().position(|name| name == text).unwrap_or_else(|| {
            names.push(text.to_owned());
            names.len() - 1
        });
        u32::try_from(index).unwrap_or(0)
    })
}

/// The text of a number; empty where no text has it.
pub(crate) fn text(number: u32) -> String {
    let index = usize::try_from(number).unwrap_or(usize::MAX);
    NAMES.with_borrow(|names| names.get(index).cloned().unwrap_or_default())
}

thread_local! {
    static NAMES: RefCell<Vec<String>> = RefCell::new(vec![String::new()]);
}
