//! Work on many items, done on a few threads.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::Builder;

/// Does the work for each item on as many threads as the machine has cores, and gives the results in the items' order.
pub(crate) fn in_parallel<T: Sync, R: Send>(stack_bytes: usize, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(items.len());
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let take_all = || {
        while let Some((index, item)) = take(items, &next) {
            let result = work(item);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
        }
    };
    std::thread::scope(|scope| {
        let spawned = (0..threads).map(|_| Builder::new().stack_size(stack_bytes).spawn_scoped(scope, take_all));
        // With no thread to be had, the work is done here.
        if spawned.filter(|spawned| spawned.is_ok()).count() == 0 {
            take_all();
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

fn take<'a, T>(items: &'a [T], next: &AtomicUsize) -> Option<(usize, &'a T)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    items.get(index).map(|item| (index, item))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_in_parallel_keeps_the_order() {
        let numbers: Vec<u32> = (0..100).collect();
        assert_eq!(
            in_parallel(4 << 20, &numbers, |number| number * 2),
            (0..100).map(|number| number * 2).collect::<Vec<_>>()
        );
        assert!(in_parallel(4 << 20, &[] as &[u32], |number| *number).is_empty());
    }
}
