//! Which files have changed and are still, and which somebody is still writing.
//!
//! A file that is being copied has some size now and another one soon: what is looked at too early is half a file. So a
//! change counts only once the file was still for a while. Time is handed in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use super::stamp::Stamp;

/// How long a file must have been still.
const STILL: Duration = Duration::from_millis(200);

/// A file that was renamed to its place is whole if nobody has written to it for this long: more than [`STILL`], because
/// this is by the calendar, of which two machines may have two.
const WHOLE: Duration = Duration::from_secs(1);

/// A file that does not become still for this long is told of.
pub(crate) const RESTLESS: Duration = Duration::from_secs(10);

/// Every file that is looked at, with what was seen of it.
#[derive(Debug, Default)]
pub(crate) struct Stillness {
    seen: BTreeMap<PathBuf, Seen>,
}

/// One look at all files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// Those that have changed since they were taken, and are still.
    pub(crate) changed: BTreeSet<PathBuf>,
    /// Those that have changed and are not still.
    pub(crate) unfinished: BTreeSet<PathBuf>,
    /// Those of the unfinished that were not still for too long.
    pub(crate) restless: BTreeSet<PathBuf>,
    /// Each file as it was when it was looked at.
    stamps: BTreeMap<PathBuf, Option<Stamp>>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    stamp: Option<Stamp>,
    /// Since when it is so.
    since: Instant,
    /// As it was when it was last taken.
    taken: Option<Stamp>,
    /// Since when it differs from that.
    differs_since: Option<Instant>,
}

/// A moment, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) instant: Instant,
    pub(crate) wall: SystemTime,
}

impl Stillness {
    /// Files that are about to be read as they are now.
    pub(crate) fn new(stamps: BTreeMap<PathBuf, Option<Stamp>>, now: Now) -> Self {
        let taken = |stamp| Seen { stamp, taken: stamp, ..Seen::never(now.instant) };
        Self { seen: stamps.into_iter().map(|(path, stamp)| (path, taken(stamp))).collect() }
    }

    /// These files, too, are about to be read as they are now.
    pub(crate) fn expect(&mut self, stamps: BTreeMap<PathBuf, Option<Stamp>>, now: Now) {
        let others = Self::new(stamps, now).seen.into_iter();
        for (path, seen) in others {
            self.seen.entry(path).or_insert(seen);
        }
    }

    /// From now on these files are looked at. Those that are known keep what was seen of them, and others are forgotten.
    /// New ones have been read already: one that was written a moment ago may have been read before that, and counts as
    /// changed.
    pub(crate) fn follow(&mut self, stamps: BTreeMap<PathBuf, Option<Stamp>>, now: Now) {
        let known = std::mem::take(&mut self.seen);
        let is_old = |stamp: &Stamp| stamp.age(now.wall).is_some_and(|age| age >= WHOLE);
        let new = |stamp: Option<Stamp>| Seen { stamp, taken: stamp.filter(is_old), ..Seen::never(now.instant) };
        self.seen.extend(stamps.into_iter().map(|(path, stamp)| {
            let seen = known.get(&path).copied().unwrap_or_else(|| new(stamp));
            (path, seen)
        }));
    }

    /// Looks at all files: those that are known, and those that are there now.
    pub(crate) fn look(&mut self, stamps: BTreeMap<PathBuf, Option<Stamp>>, now: Now) -> Look {
        let mut look = Look::default();
        let gone: Vec<PathBuf> = self.seen.keys().filter(|path| !stamps.contains_key(*path)).cloned().collect();
        let gone = gone.into_iter().map(|path| (path, None));
        for (path, stamp) in stamps.into_iter().chain(gone) {
            let seen = self.seen.entry(path.clone()).or_insert(Seen::never(now.instant));
            seen.see(stamp, now.instant);
            if seen.stamp != seen.taken {
                if seen.is_still(now) {
                    look.changed.insert(path.clone());
                } else {
                    look.unfinished.insert(path.clone());
                    if seen.is_restless(now.instant) {
                        look.restless.insert(path.clone());
                    }
                }
            }
            look.stamps.insert(path, stamp);
        }
        look
    }

    /// What this look has found changed is taken: it counts as changed again if it differs from that.
    pub(crate) fn take(&mut self, look: &Look) {
        for path in &look.changed {
            let stamp = look.stamps.get(path).copied().flatten();
            match (self.seen.get_mut(path), stamp) {
                // Gone, and known to be.
                (Some(_), None) => drop(self.seen.remove(path)),
                (Some(seen), Some(_)) => (seen.taken, seen.differs_since) = (stamp, None),
                (None, _) => {}
            }
        }
    }
}

impl Seen {
    fn never(now: Instant) -> Self {
        Self { stamp: None, since: now, taken: None, differs_since: None }
    }

    fn see(&mut self, stamp: Option<Stamp>, now: Instant) {
        if self.stamp != stamp {
            (self.stamp, self.since) = (stamp, now);
        }
        if self.stamp == self.taken {
            self.differs_since = None;
        } else {
            self.differs_since.get_or_insert(now);
        }
    }

    fn is_still(&self, now: Now) -> bool {
        let is_whole = self.stamp.is_some_and(|stamp| {
            stamp.is_another(self.taken.as_ref()) && stamp.age(now.wall).is_some_and(|age| age >= WHOLE)
        });
        is_whole || now.instant.saturating_duration_since(self.since) >= STILL
    }

    fn is_restless(&self, now: Instant) -> bool {
        self.differs_since.is_some_and(|since| now.saturating_duration_since(since) >= RESTLESS)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// A folder with one file that is looked at, and a clock of the test's own.
    struct Place {
        file: PathBuf,
        stillness: Stillness,
        began: Now,
    }

    impl Place {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("palisade-still-{}-{name}", std::process::id()));
            fs::create_dir_all(&folder).expect("a folder");
            let file = folder.join("a.wasm");
            fs::write(&file, "old").expect("written");
            let wall = fs::metadata(&file).and_then(|about| about.modified()).expect("a time");
            #[expect(clippy::disallowed_methods, reason = "only differences count, and those are the test's own")]
            let began = Now { instant: Instant::now(), wall };
            let stillness = Stillness::new(BTreeMap::from([(file.clone(), Stamp::of(&file))]), began);
            Self { file, stillness, began }
        }

        fn look(&mut self, milliseconds: u32) -> Look {
            let after = MILLISECOND * milliseconds;
            let now = Now { instant: self.began.instant + after, wall: self.began.wall + after };
            self.stillness.look(BTreeMap::from([(self.file.clone(), Stamp::of(&self.file))]), now)
        }

        #[track_caller]
        fn check(&mut self, milliseconds: u32, expected: State) -> Look {
            let look = self.look(milliseconds);
            let found = match (look.changed.len(), look.unfinished.len(), look.restless.len()) {
                (0, 0, 0) => State::Taken,
                (1, 0, 0) => State::Changed,
                (0, 1, 0) => State::Unfinished,
                (0, 1, 1) => State::Restless,
                other => panic!("{other:?}"),
            };
            assert_eq!(found, expected, "after {milliseconds} ms");
            look
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(self.file.parent().expect("a folder"));
        }
    }

    #[derive(Debug, PartialEq, Eq)]
    enum State {
        Taken,
        Changed,
        Unfinished,
        Restless,
    }

    #[test]
    fn a_change_counts_once_the_file_was_still() {
        let mut place = Place::new("copied");
        place.check(0, State::Taken);
        fs::write(&place.file, "new").expect("written");
        place.check(100, State::Unfinished);
        place.check(250, State::Unfinished);
        fs::write(&place.file, "newer").expect("written");
        place.check(299, State::Unfinished);
        place.check(498, State::Unfinished);
        let look = place.check(499, State::Changed);
        place.stillness.take(&look);
        place.check(500, State::Taken);
    }

    #[test]
    fn what_is_written_between_a_look_and_its_taking_is_another_change() {
        let mut place = Place::new("between");
        fs::write(&place.file, "new").expect("written");
        place.check(0, State::Unfinished);
        let look = place.check(200, State::Changed);
        fs::write(&place.file, "newer").expect("written");
        place.stillness.take(&look);
        place.check(210, State::Unfinished);
        place.check(410, State::Changed);
    }

    #[test]
    fn a_file_that_is_renamed_to_its_place_need_not_be_waited_for() {
        let mut place = Place::new("renamed");
        let part = place.file.with_extension("part");
        fs::write(&part, "new").expect("written");
        let old = place.began.wall - Duration::from_secs(2);
        fs::File::open(&part).and_then(|file| file.set_modified(old)).expect("an old file");
        fs::rename(&part, &place.file).expect("renamed");
        let look = place.check(0, State::Changed);
        place.stillness.take(&look);
        // The same file once more, as old: somebody has written to it and set its time.
        fs::write(&place.file, "new!").expect("written");
        fs::File::open(&place.file).and_then(|file| file.set_modified(old)).expect("an old file");
        place.check(10, State::Unfinished);
        place.check(210, State::Changed);
    }

    #[test]
    fn a_file_that_is_gone_and_stays_so_is_a_change() {
        let mut place = Place::new("gone");
        fs::remove_file(&place.file).expect("removed");
        place.check(0, State::Unfinished);
        let look = place.check(200, State::Changed);
        place.stillness.take(&look);
        place.check(210, State::Taken);
    }

    #[test]
    fn a_file_that_never_rests_is_told_of() {
        let mut place = Place::new("restless");
        for step in 0..=100 {
            fs::write(&place.file, format!("{step}")).expect("written");
            place.check(step * 100, if step == 100 { State::Restless } else { State::Unfinished });
        }
        place.check(10_200, State::Changed);
    }
}
