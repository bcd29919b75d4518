//! A process in; what it and its children have taken, by `/proc`, out.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// Processor time, in the kernel and outside; none where there is no such process.
pub(crate) fn cpu(root: u32) -> Option<Duration> {
    let tree = tree(root)?;
    Some(Duration::from_millis(tree.iter().map(|one| one.ticks).sum::<u64>() * MILLISECONDS_IN_TICK))
}

/// The process and its children; none where there is no such process.
pub(crate) fn processes_of(root: u32) -> Option<Vec<u32>> {
    Some(tree(root)?.iter().map(|one| one.id).collect())
}

/// Bytes of memory, pages that several processes share by parts; none where there is no such process.
pub(crate) fn memory(root: u32) -> Option<u64> {
    Some(tree(root)?.iter().filter_map(|one| proportional(one.id)).sum())
}

/// Linux tells processor times in hundredths of a second.
const MILLISECONDS_IN_TICK: u64 = 10;

#[derive(Debug, Clone)]
struct Stat {
    id: u32,
    parent: u32,
    ticks: u64,
}

fn tree(root: u32) -> Option<Vec<Stat>> {
    let mut known = vec![root];
    let all = processes();
    // Parents come before their children, or are found in the next turn.
    loop {
        let more = all.iter().filter(|one| known.contains(&one.parent) && !known.contains(&one.id));
        let more: Vec<u32> = more.map(|one| one.id).collect();
        if more.is_empty() {
            break;
        }
        known.extend(more);
    }
    let own: Vec<Stat> = all.into_iter().filter(|one| known.contains(&one.id)).collect();
    (!own.is_empty()).then_some(own)
}

fn processes() -> Vec<Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| stat(&entry.path())).collect()
}

fn stat(process: &Path) -> Option<Stat> {
    let id = process.file_name()?.to_str()?.parse().ok()?;
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    // The name may have spaces and parentheses; behind it are state, parent, …, and the 14th and 15th fields of all are ticks of user and
    // of system time.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat { id, parent: u32::try_from(number(1)?).ok()?, ticks: number(11)? + number(12)? })
}

/// `Pss:   12345 kB`.
fn proportional(process: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let kilobytes = text.lines().find_map(|line| line.strip_prefix("Pss:"))?.trim().strip_suffix(" kB")?;
    Some(kilobytes.parse::<u64>().ok()? << 10)
}
