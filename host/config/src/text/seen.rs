//! Finds what is there twice.

use std::{collections::HashMap, hash::Hash};

use super::Value;

/// What was there before, and under which key.
#[derive(Debug)]
pub(crate) struct Seen<T>(HashMap<T, String>);

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Hash + Eq> Seen<T> {
    /// Keeps what a value stands for; gives the key of the value that stood for it before.
    pub(crate) fn insert(&mut self, item: T, value: &Value<'_>) -> Result<(), &str> {
        use std::collections::hash_map::Entry;
        match self.0.entry(item) {
            Entry::Vacant(vacant) => {
                vacant.insert(value.key().to_owned());
                Ok(())
            }
            Entry::Occupied(first) => Err(first.into_mut()),
        }
    }
}
