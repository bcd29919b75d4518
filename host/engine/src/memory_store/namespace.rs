//! One namespace: which shard a key is in, and how much all of them hold together.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use palisade_contract::{self as contract, Bounds, NamespaceFigures, SharedError, Term};

use super::shard::{Held, Shard, Size};

/// Values and counters under keys.
///
/// The sums over all shards are kept beside them and not in them, so that the bounds hold for the whole to the last key,
/// however keys fall.
#[derive(Debug)]
pub(super) struct Namespace {
    name: String,
    shards: Box<[Mutex<Shard>]>,
    /// Seeded at random: clients choose keys.
    hasher: RandomState,
    keys_max: AtomicUsize,
    bytes_max: AtomicUsize,
    keys: AtomicUsize,
    bytes: AtomicUsize,
    evictions: AtomicU64,
}

/// Enough that as many workers seldom want the same one.
const SHARDS_MAX: usize = 16;

/// A shard with few keys knows too few to choose among when one has to go.
const SHARD_KEYS_MIN: usize = 64;

/// Entries that have expired and go with one write, or with one look at the figures of a shard.
const EXPIRED_PER_WRITE: usize = 2;
const EXPIRED_PER_LOOK: usize = 10_000;

impl Namespace {
    pub(super) fn new(name: &str, bounds: Bounds) -> Self {
        let shards = (bounds.keys / SHARD_KEYS_MIN).clamp(1, SHARDS_MAX);
        Self {
            name: name.to_owned(),
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            keys_max: AtomicUsize::new(bounds.keys),
            bytes_max: AtomicUsize::new(bounds.bytes),
            keys: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            evictions: AtomicU64::new(0),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Has these bounds from now on. What is beyond them goes with the next writes.
    pub(super) fn bound(&self, bounds: Bounds) {
        self.keys_max.store(bounds.keys, Ordering::Relaxed);
        self.bytes_max.store(bounds.bytes, Ordering::Relaxed);
    }

    fn bounds(&self) -> Bounds {
        Bounds { keys: self.keys_max.load(Ordering::Relaxed), bytes: self.bytes_max.load(Ordering::Relaxed) }
    }

    /// Looks at the shard of a key.
    fn read<T>(&self, key: &[u8], look: impl FnOnce(&mut Shard) -> T) -> T {
        self.counted(&mut self.shard(self.home(key)), look)
    }

    /// Changes the shard of a key so that the key has so many bytes to it at most, then makes room for what came in.
    fn write<T>(
        &self,
        (key, bytes): (&[u8], usize),
        now: Instant,
        change: impl FnOnce(&mut Shard) -> Result<T, SharedError>,
    ) -> Result<T, SharedError> {
        if Size::of(key, bytes).bytes > self.bounds().bytes {
            return Err(SharedError::TooLarge);
        }
        let home = self.home(key);
        let changed = self.counted(&mut self.shard(home), |shard| {
            let changed = change(shard);
            shard.forget_expired(now, EXPIRED_PER_WRITE);
            changed
        });
        self.make_room(home, key, now);
        changed
    }

    /// Evicts from the shard at home, then from the next ones, until the bounds hold; never the key that was just written.
    fn make_room(&self, home: usize, written: &[u8], now: Instant) {
        let count = self.shards.len();
        for index in (home..count).chain(0..home) {
            if !self.is_over() {
                return;
            }
            let mut shard = self.shard(index);
            while self.is_over() {
                let Some(evicted) = self.counted(&mut shard, |shard| shard.evict(written, now)) else { break };
                self.evictions.fetch_add(u64::from(evicted.was_alive), Ordering::Relaxed);
            }
        }
    }

    fn is_over(&self) -> bool {
        let bounds = self.bounds();
        self.keys.load(Ordering::Relaxed) > bounds.keys || self.bytes.load(Ordering::Relaxed) > bounds.bytes
    }

    /// Does something to a shard and keeps the sums.
    fn counted<T>(&self, shard: &mut Shard, work: impl FnOnce(&mut Shard) -> T) -> T {
        let before = shard.size();
        let done = work(shard);
        let after = shard.size();
        // Sums wrap around, and so do differences below zero.
        if after != before {
            self.keys.fetch_add(after.keys.wrapping_sub(before.keys), Ordering::Relaxed);
            self.bytes.fetch_add(after.bytes.wrapping_sub(before.bytes), Ordering::Relaxed);
        }
        done
    }

    fn home(&self, key: &[u8]) -> usize {
        let shards = u64::try_from(self.shards.len()).unwrap_or(1);
        usize::try_from(self.hasher.hash_one(key) % shards).unwrap_or_default()
    }

    #[expect(clippy::indexing_slicing, reason = "indices come from the number of shards alone")]
    fn shard(&self, index: usize) -> MutexGuard<'_, Shard> {
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl contract::Namespace for Namespace {
    fn get(&self, key: &[u8], now: Instant) -> Result<Option<Arc<[u8]>>, SharedError> {
        self.read(key, |shard| value(shard, key, now).map(|value| value.cloned()))
    }

    fn set(&self, key: &[u8], new: &[u8], term: Term) -> Result<(), SharedError> {
        let held = Held::Value(new.into());
        self.write((key, new.len()), term.now, |shard| {
            value(shard, key, term.now)?;
            shard.put(key, held, term.end());
            Ok(())
        })
    }

    fn compare_and_set(
        &self,
        key: &[u8],
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
        term: Term,
    ) -> Result<bool, SharedError> {
        self.write((key, new.map_or(0, <[u8]>::len)), term.now, |shard| {
            let is_expected = value(shard, key, term.now)?.map(AsRef::as_ref) == expected;
            match new {
                Some(new) if is_expected => shard.put(key, Held::Value(new.into()), term.end()),
                None if is_expected => drop(shard.remove(key, term.now)),
                Some(_) | None => {}
            }
            Ok(is_expected)
        })
    }

    fn delete(&self, key: &[u8], now: Instant) -> Result<bool, SharedError> {
        Ok(self.read(key, |shard| shard.remove(key, now)))
    }

    fn add(&self, key: &[u8], amount: i64, term: Term) -> Result<i64, SharedError> {
        self.write((key, size_of::<i64>()), term.now, |shard| match shard.find(key, term.now) {
            Some(Held::Counter(counter)) => {
                *counter = counter.saturating_add(amount);
                Ok(*counter)
            }
            Some(Held::Value(_)) => Err(SharedError::OtherKind),
            None => {
                shard.put(key, Held::Counter(amount), term.end());
                Ok(amount)
            }
        })
    }

    fn counter(&self, key: &[u8], now: Instant) -> Result<i64, SharedError> {
        self.read(key, |shard| counter(shard, key, now))
    }

    fn compare_and_set_counter(&self, key: &[u8], expected: i64, new: i64, term: Term) -> Result<i64, SharedError> {
        self.write((key, size_of::<i64>()), term.now, |shard| {
            let found = counter(shard, key, term.now)?;
            if found == expected {
                shard.put(key, Held::Counter(new), term.end());
            }
            Ok(found)
        })
    }

    fn figures(&self, now: Instant) -> NamespaceFigures {
        for index in 0..self.shards.len() {
            self.counted(&mut self.shard(index), |shard| shard.forget_expired(now, EXPIRED_PER_LOOK));
        }
        NamespaceFigures {
            name: self.name.clone(),
            bounds: self.bounds(),
            keys: self.keys.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            evictions: self.evictions.load(Ordering::Relaxed),
        }
    }
}

fn value<'a>(shard: &'a mut Shard, key: &[u8], now: Instant) -> Result<Option<&'a Arc<[u8]>>, SharedError> {
    match shard.find(key, now) {
        Some(Held::Value(value)) => Ok(Some(value)),
        Some(Held::Counter(_)) => Err(SharedError::OtherKind),
        None => Ok(None),
    }
}

fn counter(shard: &mut Shard, key: &[u8], now: Instant) -> Result<i64, SharedError> {
    match shard.find(key, now) {
        Some(Held::Counter(counter)) => Ok(*counter),
        Some(Held::Value(_)) => Err(SharedError::OtherKind),
        None => Ok(0),
    }
}
