//! Some of a namespace's entries, under one lock: found by key, forgotten when they expire, evicted when others need room.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use slab::Slab;

/// Entries of one namespace.
///
/// Which entry goes is told by a hand that goes round over all of them: it passes over each that was used since it last
/// came by (the CLOCK algorithm, which is near to least recently used and costs a use no more than one bit). To be made is
/// not to be used: what is written once and never again goes before what is asked for.
#[derive(Debug, Default)]
pub(super) struct Shard {
    places: HashMap<Arc<[u8]>, usize>,
    entries: Slab<Entry>,
    /// When to look whether an entry has expired: at its end, or before where the end was put off since.
    looks: BTreeSet<(Instant, usize)>,
    bytes: usize,
    hand: usize,
}

#[derive(Debug)]
struct Entry {
    key: Arc<[u8]>,
    held: Held,
    end: Option<Instant>,
    /// Its time in `looks`, never later than `end`.
    look: Option<Instant>,
    used: bool,
}

/// What a key stands for.
#[derive(Debug)]
pub(super) enum Held {
    Value(Arc<[u8]>),
    Counter(i64),
}

/// How much there is of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) keys: usize,
    pub(super) bytes: usize,
}

/// An entry that made room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Evicted {
    /// It had not expired.
    pub(super) was_alive: bool,
}

/// What an entry takes beside the bytes of its key and its value: a place in each of three tables, and one or two
/// allocations. Measured: 155 for counters to 230 for values, by how full the tables are.
const ENTRY_BYTES: usize = 192;

impl Size {
    /// Of an entry with so many bytes under this key.
    pub(super) fn of(key: &[u8], bytes: usize) -> Self {
        Self { keys: 1, bytes: ENTRY_BYTES.saturating_add(key.len()).saturating_add(bytes) }
    }
}

impl Entry {
    fn size(&self) -> Size {
        Size::of(&self.key, self.held.bytes())
    }

    fn is_over(&self, now: Instant) -> bool {
        self.end.is_some_and(|end| end <= now)
    }
}

impl Held {
    fn bytes(&self) -> usize {
        match self {
            Self::Value(value) => value.len(),
            Self::Counter(_) => size_of::<i64>(),
        }
    }
}

impl Shard {
    pub(super) fn size(&self) -> Size {
        Size { keys: self.entries.len(), bytes: self.bytes }
    }

    /// What the key stands for, which is used by this.
    pub(super) fn find(&mut self, key: &[u8], now: Instant) -> Option<&mut Held> {
        let place = *self.places.get(key)?;
        if self.entries.get(place)?.is_over(now) {
            self.take(place);
            return None;
        }
        let entry = self.entries.get_mut(place)?;
        entry.used = true;
        Some(&mut entry.held)
    }

    /// The key stands for this from now on, until it ends.
    pub(super) fn put(&mut self, key: &[u8], held: Held, end: Option<Instant>) {
        let place = self.places.get(key).copied();
        match place.and_then(|place| Some((place, self.entries.get_mut(place)?))) {
            Some((place, entry)) => {
                self.bytes = self.bytes.saturating_sub(entry.held.bytes()).saturating_add(held.bytes());
                (entry.held, entry.end, entry.used) = (held, end, true);
                self.look_at(place);
            }
            None => {
                let key: Arc<[u8]> = key.into();
                let entry = Entry { key: key.clone(), held, end, look: None, used: false };
                self.bytes = self.bytes.saturating_add(entry.size().bytes);
                let place = self.entries.insert(entry);
                self.places.insert(key, place);
                self.look_at(place);
            }
        }
    }

    /// Takes a key away. False where it stood for nothing.
    pub(super) fn remove(&mut self, key: &[u8], now: Instant) -> bool {
        let place = self.places.get(key).copied();
        let taken = place.and_then(|place| self.take(place));
        taken.is_some_and(|entry| !entry.is_over(now))
    }

    /// Forgets what has expired, so many at most.
    pub(super) fn forget_expired(&mut self, now: Instant, entries_max: usize) {
        for _ in 0..entries_max {
            if !self.forget_one(now) {
                return;
            }
        }
    }

    /// Evicts one entry: one that has expired, else one that was not used lately, but not the one of this key. None where
    /// there is no other.
    pub(super) fn evict(&mut self, kept: &[u8], now: Instant) -> Option<Evicted> {
        if self.forget_one(now) {
            return Some(Evicted { was_alive: false });
        }
        // Once round to find none that was not used, once more to take the first.
        for _ in 0..self.entries.capacity().saturating_mul(2) {
            let place = self.hand;
            self.hand = if place.saturating_add(1) >= self.entries.capacity() { 0 } else { place.saturating_add(1) };
            match self.entries.get_mut(place) {
                None => {}
                Some(entry) if *entry.key == *kept => {}
                Some(entry) if entry.used => entry.used = false,
                Some(_) => return self.take(place).map(|_| Evicted { was_alive: true }),
            }
        }
        None
    }

    /// Forgets the entry that expired first, if any has.
    fn forget_one(&mut self, now: Instant) -> bool {
        while let Some((look, place)) = self.looks.first().copied().filter(|(look, _)| *look <= now) {
            self.looks.remove(&(look, place));
            let Some(entry) = self.entries.get_mut(place) else { continue };
            entry.look = None;
            if entry.is_over(now) {
                self.take(place);
                return true;
            }
            self.look_at(place);
        }
        false
    }

    /// Sees to it that the entry is looked at when it ends, or before. An end that is put off leaves the look where it is:
    /// a counter whose end moves with every call costs nothing here.
    fn look_at(&mut self, place: usize) {
        let Some(entry) = self.entries.get_mut(place) else { return };
        let Some(end) = entry.end else { return };
        if entry.look.is_some_and(|look| look <= end) {
            return;
        }
        if let Some(look) = entry.look.replace(end) {
            self.looks.remove(&(look, place));
        }
        self.looks.insert((end, place));
    }

    fn take(&mut self, place: usize) -> Option<Entry> {
        let entry = self.entries.try_remove(place)?;
        self.places.remove(&entry.key);
        if let Some(look) = entry.look {
            self.looks.remove(&(look, place));
        }
        self.bytes = self.bytes.saturating_sub(entry.size().bytes);
        Some(entry)
    }
}
