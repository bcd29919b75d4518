//! What instances of plugins have in common, whichever worker they are on: values and counters under keys.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where namespaces are. It belongs to the process and outlives every generation of plugins.
pub trait SharedStore: Send + Sync + Debug {
    /// The namespace of this name. The same name gives the same namespace, which has the bounds that were told last.
    fn namespace(&self, name: &str, bounds: Bounds) -> Arc<dyn Namespace>;

    /// The figures of every namespace, by name.
    fn figures(&self, now: Instant) -> Vec<NamespaceFigures>;
}

/// Values and counters under keys. Every call is atomic, never waits for anything but another such call, and counts as a
/// use of the key.
///
/// What is beyond the bounds makes room: first what has expired, then what was used least lately.
pub trait Namespace: Send + Sync + Debug {
    /// The value of a key.
    ///
    /// # Errors
    /// See [`SharedError`].
    fn get(&self, key: &[u8], now: Instant) -> Result<Option<Arc<[u8]>>, SharedError>;

    /// Gives a key this value.
    ///
    /// # Errors
    /// See [`SharedError`]; nothing has changed then.
    fn set(&self, key: &[u8], value: &[u8], term: Term) -> Result<(), SharedError>;

    /// Gives a key this value, or none, if it has the expected one now. False where it has another one.
    ///
    /// # Errors
    /// See [`SharedError`]; nothing has changed then.
    fn compare_and_set(
        &self,
        key: &[u8],
        expected: Option<&[u8]>,
        value: Option<&[u8]>,
        term: Term,
    ) -> Result<bool, SharedError>;

    /// Takes a value or a counter away. False where there was none.
    ///
    /// # Errors
    /// See [`SharedError`]; nothing has changed then.
    fn delete(&self, key: &[u8], now: Instant) -> Result<bool, SharedError>;

    /// Adds to a counter and gives what it is then. One that is not there begins at zero; one that is there keeps its term.
    ///
    /// # Errors
    /// See [`SharedError`]; nothing has changed then.
    fn add(&self, key: &[u8], amount: i64, term: Term) -> Result<i64, SharedError>;

    /// What a counter is. One that is not there is zero.
    ///
    /// # Errors
    /// See [`SharedError`].
    fn counter(&self, key: &[u8], now: Instant) -> Result<i64, SharedError>;

    /// Sets a counter if it is the expected one now, and gives what it was before.
    ///
    /// # Errors
    /// See [`SharedError`]; nothing has changed then.
    fn compare_and_set_counter(&self, key: &[u8], expected: i64, value: i64, term: Term) -> Result<i64, SharedError>;

    /// How full it is.
    fn figures(&self, now: Instant) -> NamespaceFigures;
}

/// How much a namespace may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Values and counters.
    pub keys: usize,
    /// Bytes of all keys and values, and what the store needs for each.
    pub bytes: usize,
}

impl Default for Bounds {
    /// 10,000 keys and 4 MiB.
    fn default() -> Self {
        Self { keys: 10_000, bytes: 4 << 20 }
    }
}

/// When something is written, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// The time of the call.
    pub now: Instant,
    /// How long it is to live; without one, until it is deleted or makes room.
    pub ttl: Option<Duration>,
}

impl Term {
    /// When it expires, if ever.
    #[must_use]
    pub fn end(self) -> Option<Instant> {
        self.ttl.and_then(|ttl| self.now.checked_add(ttl))
    }
}

/// How full one namespace is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceFigures {
    /// Its name.
    pub name: String,
    /// How much it may hold.
    pub bounds: Bounds,
    /// Values and counters.
    pub keys: usize,
    /// Bytes of all keys and values, and what the store needs for each.
    pub bytes: usize,
    /// Entries that had not expired and made room for others.
    pub evictions: u64,
}

/// Why a call of a [`Namespace`] did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SharedError {
    /// The entry alone is larger than one may be, or than all that the namespace may hold.
    #[error("the key or the value is too large")]
    TooLarge,
    /// The key stands for a counter where a value was asked for, or the other way round.
    #[error("the key stands for something of another kind")]
    OtherKind,
    /// The store cannot be asked.
    #[error("the store is not available")]
    Unavailable,
}
