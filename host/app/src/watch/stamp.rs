//! What the file system says of a file without its being read: two stamps that differ are two states of the file.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A file at one moment. Whoever writes to it changes the times; whoever renames another one to it changes the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    number: (u64, u64),
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// None where there is no file. Of a link it is that of what it leads to.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let about = fs::metadata(path).ok()?;
        Some(Self {
            number: (about.dev(), about.ino()),
            bytes: about.len(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        })
    }

    /// Whether it is another file than the one of this stamp, and not the same one with other contents.
    pub(crate) fn is_another(&self, before: Option<&Self>) -> bool {
        before.is_none_or(|before| before.number != self.number)
    }

    /// How long ago somebody wrote to it, by the machine's calendar; none where that lies ahead.
    pub(crate) fn age(&self, now: SystemTime) -> Option<Duration> {
        let seconds = u64::try_from(self.modified.0).ok()?;
        let nanoseconds = u32::try_from(self.modified.1).ok()?;
        now.duration_since(UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))?).ok()
    }
}
