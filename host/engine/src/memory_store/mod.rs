//! Shared state within this process: namespaces by name, each in shards that workers rarely meet in.

mod namespace;
mod shard;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use palisade_contract::{self as contract, Bounds, Namespace as _, NamespaceFigures, SharedStore};

use self::namespace::Namespace;

/// Shared state in this process's memory: the default store, gone with the process.
///
/// A namespace that no plugin has any more is kept, so that a plugin which comes back finds it; but only the last few of
/// these are.
#[derive(Debug, Default)]
pub struct MemoryStore {
    /// In the order in which they were last asked for.
    namespaces: Mutex<Vec<Arc<Namespace>>>,
}

/// Namespaces that are kept though no plugin has them.
const LEFT_MAX: usize = 16;

impl SharedStore for MemoryStore {
    fn namespace(&self, name: &str, bounds: Bounds) -> Arc<dyn contract::Namespace> {
        let mut namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        let known = namespaces.iter().position(|namespace| namespace.name() == name);
        let namespace = match known {
            Some(index) => namespaces.remove(index),
            None => Arc::new(Namespace::new(name, bounds)),
        };
        namespace.bound(bounds);
        namespaces.push(namespace.clone());
        drop_left(&mut namespaces);
        namespace
    }

    fn figures(&self, now: Instant) -> Vec<NamespaceFigures> {
        let namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut figures: Vec<_> = namespaces.iter().map(|namespace| namespace.figures(now)).collect();
        figures.sort_by(|one, other| one.name.cmp(&other.name));
        figures
    }
}

/// Drops those that nobody has, but for the last few.
fn drop_left(namespaces: &mut Vec<Arc<Namespace>>) {
    let left = namespaces.iter().filter(|namespace| Arc::strong_count(namespace) == 1).count();
    let mut dropped = left.saturating_sub(LEFT_MAX);
    namespaces.retain(|namespace| {
        let drops = dropped > 0 && Arc::strong_count(namespace) == 1;
        dropped -= usize::from(drops);
        !drops
    });
}

#[cfg(test)]
mod tests;
