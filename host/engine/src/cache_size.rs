//! How much a folder of compiled code may hold: what was not used for longest goes first.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What the folder holds at most, in bytes, after it was looked at.
pub(crate) const BYTES_MAX: u64 = 256 << 20;

/// A file that was written for longer than this is left over from a process that ended meanwhile.
const PART_AGE_MAX: Duration = Duration::from_secs(3_600);

/// Notes that a file is used now. Where that cannot be noted, it goes a little earlier than others.
pub(crate) fn note_use(file: &Path, now: SystemTime) {
    let _ = File::open(file).and_then(|file| file.set_modified(now));
}

/// Removes what was not used for longest, until the folder holds no more than this. What other processes of this user use
/// of it may go, too: they have it in memory, and compile it again with their next start.
///
/// # Errors
/// The folder cannot be read. A file that cannot be removed is left.
pub(crate) fn keep_within(folder: &Path, bytes_max: u64, now: SystemTime) -> io::Result<()> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        entries.extend(entry.ok().and_then(|entry| Entry::of(&entry)));
    }
    let is_left_over =
        |entry: &Entry| entry.is_part && now.duration_since(entry.used).is_ok_and(|age| age > PART_AGE_MAX);
    entries.sort_by_key(|entry| (!is_left_over(entry), entry.used));
    let mut bytes: u64 = entries.iter().map(|entry| entry.bytes).sum();
    for entry in entries {
        if bytes <= bytes_max && !is_left_over(&entry) {
            break;
        }
        if fs::remove_file(&entry.path).is_ok() {
            bytes = bytes.saturating_sub(entry.bytes);
        }
    }
    Ok(())
}

/// One file of ours.
struct Entry {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
    is_part: bool,
}

impl Entry {
    /// None for what is not ours.
    fn of(entry: &fs::DirEntry) -> Option<Self> {
        let (path, about) = (entry.path(), entry.metadata().ok()?);
        let ending = path.extension()?.to_str()?;
        let is_part = ending == "part";
        let is_ours = is_part || ending == "cwasm" || ending == "json";
        (is_ours && about.is_file()).then_some(())?;
        Some(Self { bytes: about.len(), used: about.modified().ok()?, is_part, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let day = Duration::from_secs(86_400);
        let now = SystemTime::UNIX_EPOCH + 1_000 * day;
        // Each file: its name, and how many days ago it was used; each has 100 bytes.
        let files =
            [("a.cwasm", 3), ("b.cwasm", 1), ("b.json", 1), ("c.cwasm", 2), ("d.1-1.part", 9), ("e.1-2.part", 0)];
        let keys = [("palisade.toml", 50), ("firewall.wasm", 50)];
        check(&[&files[..], &keys].concat(), now, 1_000, &["a.cwasm", "b.cwasm", "b.json", "c.cwasm", "e.1-2.part"]);
        check(&[&files[..], &keys].concat(), now, 400, &["b.cwasm", "b.json", "c.cwasm", "e.1-2.part"]);
        check(&[&files[..], &keys].concat(), now, 399, &["b.cwasm", "b.json", "e.1-2.part"]);
        check(&[&files[..], &keys].concat(), now, 0, &[]);
    }

    /// What of ours is left of these files; what is not ours is always left.
    fn check(files: &[(&str, u32)], now: SystemTime, bytes_max: u64, expected: &[&str]) {
        let folder = std::env::temp_dir().join(format!("palisade-cache-{}-{bytes_max}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        for (name, days) in files {
            fs::write(folder.join(name), [0; 100]).expect("written");
            note_use(&folder.join(name), now - *days * Duration::from_secs(86_400));
        }
        keep_within(&folder, bytes_max, now).expect("a folder that can be read");
        let left = fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
        let mut left: Vec<String> = left.map(|name| name.to_string_lossy().into_owned()).collect();
        fs::remove_dir_all(&folder).expect("removed");
        left.sort();
        let mut expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
        expected.extend(["palisade.toml", "firewall.wasm"].map(String::from));
        expected.sort();
        assert_eq!(left, expected, "{bytes_max}");
    }
}
