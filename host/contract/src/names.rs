//! Numbers for the names of listeners, routes, upstreams, endpoints and zones.
//!
//! Guests and counters carry the number; the text is looked up once. A number means the same name for as long as the
//! process runs, across every reload.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// The number of a name; zero is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Name(pub u32);

impl Name {
    /// No name.
    pub const NONE: Self = Self(0);
}

/// All names that this process ever gave a number. Grows with the configuration, never with traffic.
#[derive(Debug, Default)]
pub struct Names {
    table: RwLock<Table>,
}

#[derive(Debug, Default)]
struct Table {
    texts: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, Name>,
}

impl Names {
    /// The number of this text, the same for the same text. The empty text, and any beyond four billion, is none.
    #[must_use]
    pub fn intern(&self, text: &str) -> Name {
        if text.is_empty() {
            return Name::NONE;
        }
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = table.numbers.get(text) {
            return *name;
        }
        let Ok(number) = u32::try_from(table.texts.len() + 1) else { return Name::NONE };
        let text: Arc<str> = text.into();
        table.texts.push(text.clone());
        table.numbers.insert(text, Name(number));
        Name(number)
    }

    /// The text of a number; empty for none and for a number that was never given.
    #[must_use]
    pub fn text(&self, name: Name) -> Arc<str> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let index = usize::try_from(name.0).ok().and_then(|number| number.checked_sub(1));
        index.and_then(|index| table.texts.get(index)).cloned().unwrap_or_else(|| "".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_number() {
        let names = Names::default();
        let (web, api) = (names.intern("web"), names.intern("api"));
        assert_ne!(web, api);
        assert_eq!(names.intern("web"), web);
        assert_eq!(&*names.text(web), "web");
        assert_eq!(&*names.text(Name(77)), "");
        assert_eq!(names.intern(""), Name::NONE);
    }
}
