//! What is remembered of each upstream: of the 64 that were used last.

use palisade_sdk::Name;

/// Values by upstream. Beyond the limit, the one whose upstream was not used for longest is forgotten.
#[derive(Debug)]
pub(crate) struct ByUpstream<T> {
    entries: Vec<Entry<T>>,
    uses: u64,
}

#[derive(Debug)]
struct Entry<T> {
    upstream: Name,
    last_use: u64,
    value: T,
}

impl<T: Default> ByUpstream<T> {
    /// Lets `work` use the value of this upstream, which is a new one where none is remembered.
    pub(crate) fn with<R>(&mut self, upstream: Name, work: impl FnOnce(&mut T) -> R) -> R {
        self.uses += 1;
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.upstream == upstream) {
            entry.last_use = self.uses;
            return work(&mut entry.value);
        }
        if self.entries.len() >= UPSTREAMS_MAX {
            let oldest = self.entries.iter().map(|entry| entry.last_use).min();
            self.entries.retain(|entry| Some(entry.last_use) != oldest);
        }
        let mut value = T::default();
        let result = work(&mut value);
        self.entries.push(Entry { upstream, last_use: self.uses, value });
        result
    }
}

impl<T> Default for ByUpstream<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), uses: 0 }
    }
}

/// With tables of 128 KiB each, they take 8 MiB.
const UPSTREAMS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upstream_that_was_not_used_for_longest_is_forgotten() {
        let mut counts = ByUpstream::<u32>::default();
        let mut count = |number: u32| {
            counts.with(Name::from_number(number), |count| {
                *count += 1;
                *count
            })
        };
        for upstream in 1..=64 {
            assert_eq!(count(upstream), 1);
        }
        assert_eq!(count(1), 2);
        assert_eq!(count(65), 1);
        assert_eq!((count(1), count(3)), (3, 2), "the first was used again in time");
        assert_eq!(count(2), 1, "the second was not");
    }
}
