//! Names of listeners, routes, upstreams, endpoints and zones: numbers whose text the host knows.

use std::{cell::RefCell, collections::BTreeMap, fmt};

use crate::host;

/// The name of a listener, route, upstream, endpoint or zone.
///
/// It is a number, so comparing and keeping it is cheap; a number means the same name for as long as the host runs.
/// [`Name::text`] gives the text.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Name(u32);

impl Name {
    /// The name of this number; the host alone gives numbers that mean something. Zero has no text.
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The text, which is asked of the host once and remembered (for up to 4,096 names). Empty for a number that the host
    /// never gave.
    pub fn text(self) -> String {
        KNOWN.with_borrow_mut(|known| {
            if let Some(text) = known.get(&self.0) {
                return text.clone();
            }
            let text = host::names::text(self.0);
            if known.len() < KNOWN_MAX && !text.is_empty() {
                known.insert(self.0, text.clone());
            }
            text
        })
    }

    /// The name, or none for the host's zero.
    pub(crate) fn some(number: u32) -> Option<Self> {
        (number != 0).then_some(Self(number))
    }
}

/// How many names are remembered: more than a config has, and bounded should it not be.
const KNOWN_MAX: usize = 4096;

thread_local! {
    static KNOWN: RefCell<BTreeMap<u32, String>> = const { RefCell::new(BTreeMap::new()) };
}

/// The text.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().fmt(f)
    }
}

/// The number and the text.
impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.0, self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_text_that_the_host_gave() {
        let web = Name::for_test("web");
        assert_eq!((web.text(), web.to_string()), ("web".into(), "web".into()));
        assert_eq!(web, Name::for_test("web"));
        assert_ne!(web, Name::for_test("api"));
    }

    #[test]
    fn a_number_that_was_never_given_has_no_text() {
        assert_eq!(Name::from_number(0).text(), "");
        assert_eq!(Name::from_number(u32::MAX).text(), "");
        assert_eq!(Name::some(0), None);
    }
}
