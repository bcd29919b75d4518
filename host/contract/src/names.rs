//! Numbers for the names of listeners, routes, upstreams, endpoints and zones.
//!
//! Guests and counters carry the number; the text is looked up once. A number means the same name for as long as the
//! process runs, across every reload. What comes and goes with discovery is [lent](Names::lend): such a text is given up some time
//! after nobody has it, and its number is not given to another one before two billion more were lent.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

/// The number of a name; zero is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Name(pub u32);

impl Name {
    /// No name.
    pub const NONE: Self = Self(0);
}

/// All names that have a number. Grows with the configuration and with what is lent at a time, never with traffic.
#[derive(Debug, Default)]
pub struct Names {
    table: RwLock<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// Those that stay, by their numbers, which begin with one.
    texts: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, Name>,
    /// Those that are lent, or were not long ago.
    lent: HashMap<Name, Lent>,
    /// Those that nobody has, in the order in which they were given back.
    gone: BTreeMap<u64, Name>,
    /// How many were ever lent, and how many were ever given back.
    lends: u32,
    returns: u64,
}

#[derive(Debug)]
struct Lent {
    text: Arc<str>,
    users: u32,
    /// Its place among those that are gone, where nobody has it.
    returned: u64,
}

/// Names that nobody has and that are known still: for whoever writes down what has just ended.
const GONE_MAX: usize = 10_000;

/// From here on numbers are those of names that are lent.
const LENT_FIRST: u32 = 1 << 31;

/// The number of a text that is known for as long as this lives, and a while longer.
#[derive(Debug)]
pub struct LentName {
    name: Name,
    names: Arc<Names>,
}

impl Names {
    /// The number of this text for ever, the same for the same text. The empty text, and any beyond two billion, is none.
    #[must_use]
    pub fn intern(&self, text: &str) -> Name {
        if text.is_empty() {
            return Name::NONE;
        }
        let mut table = self.write();
        if let Some(name) = table.numbers.get(text).copied() {
            // One that is lent is lent for ever now.
            table.takes(name);
            return name;
        }
        let number = u32::try_from(table.texts.len() + 1).ok().filter(|number| *number < LENT_FIRST);
        let Some(number) = number else { return Name::NONE };
        let text: Arc<str> = text.into();
        table.texts.push(text.clone());
        table.numbers.insert(text, Name(number));
        Name(number)
    }

    /// The number of this text for as long as anybody has what comes back: the same for the same text, unless ten thousand others
    /// were given back since it was. The empty text is none.
    #[must_use]
    pub fn lend(self: &Arc<Self>, text: &str) -> LentName {
        let name = if text.is_empty() { Name::NONE } else { self.write().lend(text) };
        LentName { name, names: self.clone() }
    }

    /// The text of a number; empty for none, for a number that was never given, and for a name that is not lent any more.
    #[must_use]
    pub fn text(&self, name: Name) -> Arc<str> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let text = if name.0 < LENT_FIRST {
            let index = usize::try_from(name.0).ok().and_then(|number| number.checked_sub(1));
            index.and_then(|index| table.texts.get(index))
        } else {
            table.lent.get(&name).map(|lent| &lent.text)
        };
        text.cloned().unwrap_or_else(|| "".into())
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn lend(&mut self, text: &str) -> Name {
        if let Some(name) = self.numbers.get(text).copied() {
            self.takes(name);
            return name;
        }
        let name = self.free();
        let text: Arc<str> = text.into();
        self.numbers.insert(text.clone(), name);
        self.lent.insert(name, Lent { text, users: 1, returned: 0 });
        name
    }

    /// The next number that no name has. There are more of them than names could be held in memory.
    fn free(&mut self) -> Name {
        loop {
            let name = Name(LENT_FIRST + self.lends % LENT_FIRST);
            self.lends = self.lends.wrapping_add(1);
            if !self.lent.contains_key(&name) {
                return name;
            }
        }
    }

    /// One more has this name, if it is one that is lent.
    fn takes(&mut self, name: Name) {
        let Some(lent) = self.lent.get_mut(&name) else { return };
        if lent.users == 0 {
            self.gone.remove(&lent.returned);
        }
        lent.users = lent.users.saturating_add(1);
    }

    fn returns(&mut self, name: Name) {
        let Some(lent) = self.lent.get_mut(&name) else { return };
        lent.users = lent.users.saturating_sub(1);
        if lent.users > 0 {
            return;
        }
        self.returns += 1;
        lent.returned = self.returns;
        self.gone.insert(self.returns, name);
        if self.gone.len() > GONE_MAX
            && let Some((_, oldest)) = self.gone.pop_first()
            && let Some(forgotten) = self.lent.remove(&oldest)
        {
            self.numbers.remove(&forgotten.text);
        }
    }
}

impl LentName {
    /// The number.
    #[must_use]
    pub fn name(&self) -> Name {
        self.name
    }
}

impl Drop for LentName {
    fn drop(&mut self) {
        if self.name.0 >= LENT_FIRST {
            self.names.write().returns(self.name);
        }
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

    #[test]
    fn what_is_lent_has_one_number_while_anybody_has_it_and_a_while_longer() {
        let names = Arc::new(Names::default());
        let (one, other) = (names.lend("10.0.0.1:80"), names.lend("10.0.0.1:80"));
        assert_eq!(one.name(), other.name());
        let number = one.name();
        drop((one, other));
        assert_eq!(&*names.text(number), "10.0.0.1:80", "whoever writes down what has ended");
        assert_eq!(names.lend("10.0.0.1:80").name(), number, "one that comes back");
        let kept = names.intern("kept");
        assert_eq!(names.lend("kept").name(), kept);
        assert_eq!(&*names.text(kept), "kept");
        let lent = names.lend("b");
        assert_eq!(names.intern("b"), lent.name());
        let number = lent.name();
        drop(lent);
        churn(&names);
        assert_eq!(&*names.text(number), "b", "it was asked for for ever");
        assert_eq!(names.lend("").name(), Name::NONE);
    }

    #[test]
    fn names_that_come_and_go_do_not_pile_up_and_no_number_is_anothers() {
        let names = Arc::new(Names::default());
        let stays = names.lend("stays");
        let first = names.lend("first").name();
        churn(&names);
        let table = names.write();
        assert_eq!((table.lent.len(), table.gone.len(), table.numbers.len()), (GONE_MAX + 1, GONE_MAX, GONE_MAX + 1));
        drop(table);
        assert_eq!((&*names.text(first), &*names.text(stays.name())), ("", "stays"));
        assert_ne!(names.lend("first").name(), first);
    }

    /// Far more than are kept.
    fn churn(names: &Arc<Names>) {
        for number in 0..5 * GONE_MAX {
            let lent = names.lend(&format!("10.0.0.1:{number}"));
            assert_eq!(*names.text(lent.name()), *format!("10.0.0.1:{number}"));
        }
    }

    #[test]
    fn numbers_begin_anew_when_all_were_given_and_pass_over_those_that_are_in_use() {
        let names = Arc::new(Names::default());
        let first = names.lend("first");
        names.write().lends = LENT_FIRST;
        assert_eq!(first.name(), Name(LENT_FIRST));
        assert_eq!(names.lend("second").name(), Name(LENT_FIRST + 1));
    }
}
