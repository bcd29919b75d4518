//! Waits for changes of the files that a configuration is made of.
//!
//! Events of the system only wake: what has changed is decided by a look at the files, which is also taken from time to
//! time where no event comes, as over a network.

mod files;
mod stamp;
mod stillness;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use palisade_contract::{Clock, SystemClock};
use tokio::sync::Notify;

pub(crate) use files::{Files, module_of};
use stamp::Stamp;
pub(crate) use stillness::Look;
use stillness::{Now, RESTLESS, Stillness};

/// Between two looks at least.
const SOON: Duration = Duration::from_millis(20);

/// Between two looks where no event comes.
const LATER: Duration = Duration::from_millis(500);

/// Waits for changes of files.
pub(crate) struct Watch {
    files: Files,
    stillness: Stillness,
    /// The restless files that were told of.
    told: BTreeSet<PathBuf>,
    events: Events,
}

impl Watch {
    /// Of these files, which are about to be read.
    pub(crate) fn new(files: Files) -> Self {
        let stillness = Stillness::new(stamps(&files), now());
        let mut events = Events::new();
        events.come_from(files.places());
        Self { files, stillness, told: BTreeSet::new(), events }
    }

    /// These files, too, are about to be read.
    pub(crate) fn expect(&mut self, files: Files) {
        self.stillness.expect(stamps(&files), now());
        self.files = std::mem::take(&mut self.files).with(files);
        self.events.come_from(self.files.places());
    }

    /// Waits until something has changed and is still, or is restless. To drop the future loses nothing.
    pub(crate) async fn changed(&mut self) -> Look {
        loop {
            let look = self.look();
            self.told.retain(|path| look.restless.contains(path));
            if !look.changed.is_empty() || !look.restless.is_subset(&self.told) {
                self.told.clone_from(&look.restless);
                return look;
            }
            self.pause(&look).await;
        }
    }

    /// Waits until nothing is being written any more, or is only by those that do not rest, for at most so long that
    /// any file is known to be one of these.
    pub(crate) async fn still(&mut self) -> Look {
        let mut last = self.look();
        let wait = async {
            while !last.unfinished.is_subset(&last.restless) {
                self.pause(&last).await;
                last = self.look();
            }
        };
        // As a limit of its own: files could take turns.
        let _ = tokio::time::timeout(2 * RESTLESS, wait).await;
        last
    }

    /// What this look has found changed has been read.
    pub(crate) fn take(&mut self, look: &Look) {
        self.stillness.take(look);
    }

    /// From now on these files are looked at; all of them have been read.
    pub(crate) fn follow(&mut self, files: Files) {
        if files != self.files {
            self.stillness.follow(stamps(&files), now());
            self.files = files;
        }
        // Also where they are the same: a folder may have gone and come again.
        self.events.come_from(self.files.places());
    }

    fn look(&mut self) -> Look {
        self.stillness.look(stamps(&self.files), now())
    }

    /// Never less than a moment: somebody may write into one of the folders all the time, if only a log.
    async fn pause(&self, look: &Look) {
        tokio::time::sleep(SOON).await;
        if look.unfinished.is_subset(&look.restless) {
            let _ = tokio::time::timeout(LATER, self.events.wake.notified()).await;
        }
    }
}

fn now() -> Now {
    Now { instant: SystemClock.now(), wall: SystemClock.wall() }
}

fn stamps(files: &Files) -> BTreeMap<PathBuf, Option<Stamp>> {
    files.paths().into_iter().map(|path| (path.clone(), Stamp::of(&path))).collect()
}

/// What wakes a look that would otherwise come later.
struct Events {
    wake: Arc<Notify>,
    /// None where the system has no events for us.
    watcher: Option<RecommendedWatcher>,
    places: BTreeSet<PathBuf>,
}

impl Events {
    fn new() -> Self {
        let wake = Arc::new(Notify::new());
        let waking = wake.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.map_or(true, |event| is_change(event.kind)) {
                waking.notify_one();
            }
        });
        let watcher = watcher
            .inspect_err(
                |error| tracing::info!(%error, "there are no events of files: they are looked at twice a second"),
            )
            .ok();
        Self { wake, watcher, places: BTreeSet::new() }
    }

    /// From these folders, and no others. A folder that events do not come from is looked at all the same.
    fn come_from(&mut self, places: BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        let watched = |watched: notify::Result<()>, place: &Path| {
            watched
                .inspect_err(|error| tracing::debug!(place = %place.display(), %error, "no events from here"))
                .is_ok()
        };
        for gone in self.places.difference(&places) {
            let _ = watcher.unwatch(gone);
        }
        self.places = places
            .into_iter()
            .filter(|place| watched(watcher.watch(place, RecursiveMode::NonRecursive), place))
            .collect();
    }
}

/// Reading files, as we do ourselves, changes none.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => true,
    }
}
