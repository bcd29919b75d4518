//! What a plugin shares in a test: the store of one namespace, without limits on all of it and with the test's time.

use std::{collections::BTreeMap, time::Duration};

use crate::bindings::capabilities::palisade::plugin::shared::SharedError;

#[derive(Debug, Default)]
pub(crate) struct Store {
    entries: BTreeMap<Vec<u8>, Entry>,
    now: Duration,
    is_lost: bool,
}

#[derive(Debug)]
struct Entry {
    held: Held,
    end: Option<Duration>,
}

#[derive(Clone, Debug)]
enum Held {
    Value(Vec<u8>),
    Counter(i64),
}

impl Store {
    pub(crate) fn advance(&mut self, by: Duration) {
        self.now += by;
        let now = self.now;
        self.entries.retain(|_, entry| entry.end.is_none_or(|end| end > now));
    }

    /// Answers nothing from now on, or does again.
    pub(crate) fn lose(&mut self) {
        self.is_lost = true;
    }

    pub(crate) fn find_again(&mut self) {
        self.is_lost = false;
    }

    /// Forgets everything, as if it had made room.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.keys().map(Vec::as_slice)
    }

    pub(crate) fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, SharedError> {
        match self.find(key)? {
            Some(Held::Value(value)) => Ok(Some(value.clone())),
            Some(Held::Counter(_)) => Err(SharedError::OtherKind),
            None => Ok(None),
        }
    }

    pub(crate) fn set(&mut self, key: &[u8], value: &[u8], ttl_millis: u64) -> Result<(), SharedError> {
        self.value(key)?;
        if value.len() > VALUE_BYTES_MAX {
            return Err(SharedError::TooLarge);
        }
        self.put(key, Held::Value(value.to_vec()), ttl_millis);
        Ok(())
    }

    pub(crate) fn compare_and_set(
        &mut self,
        key: &[u8],
        expected: Option<&[u8]>,
        value: Option<&[u8]>,
        ttl_millis: u64,
    ) -> Result<bool, SharedError> {
        let is_expected = self.value(key)?.as_deref() == expected;
        match value {
            Some(value) if is_expected => self.set(key, value, ttl_millis)?,
            None if is_expected => drop(self.delete(key)?),
            Some(_) | None => {}
        }
        Ok(is_expected)
    }

    pub(crate) fn delete(&mut self, key: &[u8]) -> Result<bool, SharedError> {
        self.find(key)?;
        Ok(self.entries.remove(key).is_some())
    }

    pub(crate) fn counter(&self, key: &[u8]) -> Result<i64, SharedError> {
        match self.find(key)? {
            Some(Held::Counter(counter)) => Ok(*counter),
            Some(Held::Value(_)) => Err(SharedError::OtherKind),
            None => Ok(0),
        }
    }

    pub(crate) fn add(&mut self, key: &[u8], amount: i64, ttl_millis: u64) -> Result<i64, SharedError> {
        let sum = self.counter(key)?.saturating_add(amount);
        match self.entries.get_mut(key) {
            Some(entry) => entry.held = Held::Counter(sum),
            None => self.put(key, Held::Counter(sum), ttl_millis),
        }
        Ok(sum)
    }

    pub(crate) fn compare_and_set_counter(
        &mut self,
        key: &[u8],
        expected: i64,
        value: i64,
        ttl_millis: u64,
    ) -> Result<i64, SharedError> {
        let found = self.counter(key)?;
        if found == expected {
            self.put(key, Held::Counter(value), ttl_millis);
        }
        Ok(found)
    }

    fn find(&self, key: &[u8]) -> Result<Option<&Held>, SharedError> {
        if self.is_lost {
            return Err(SharedError::Unavailable);
        }
        if !(1..=KEY_BYTES_MAX).contains(&key.len()) {
            return Err(SharedError::TooLarge);
        }
        Ok(self.entries.get(key).map(|entry| &entry.held))
    }

    fn put(&mut self, key: &[u8], held: Held, ttl_millis: u64) {
        let end = (ttl_millis > 0).then(|| self.now.saturating_add(Duration::from_millis(ttl_millis)));
        self.entries.insert(key.to_vec(), Entry { held, end });
    }
}

const KEY_BYTES_MAX: usize = 1_024;
const VALUE_BYTES_MAX: usize = 65_536;
