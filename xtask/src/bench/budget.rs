//! Counts and the file of those that were stored; each one beside what it may be, out.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// A count may be this much above the stored one: thousandths of it.
const TOLERANCE: u64 = 30;

/// The counts that were stored, by name, in the order of the file.
#[derive(Debug)]
pub(crate) struct Budget {
    file: PathBuf,
    stored: Vec<(String, u64)>,
}

impl Budget {
    /// Reads lines such as `"h1" = 67000`; a file that is not there has none.
    ///
    /// # Errors
    /// The line that is none of these.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = if file.exists() { fs::read_to_string(file)? } else { String::new() };
        let stored = parse(&text).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Self { file: file.to_owned(), stored })
    }

    /// A count, what is stored, and how far the one is from the other.
    pub(crate) fn beside(&self, name: &str, count: u64) -> String {
        let Some(stored) = self.stored(name) else { return format!("{count} | – | not stored") };
        #[expect(clippy::cast_precision_loss, reason = "counts are below 2^52")]
        let percent = (count as f64 / stored as f64 - 1.0) * 100.0;
        format!("{count} | {stored} | {percent:+.1} %")
    }

    /// That each of these is within its budget, and that each stored one is there.
    ///
    /// # Errors
    /// A sentence for each one that is not.
    pub(crate) fn check(&self, counts: &[(&str, u64)]) -> Result<()> {
        let mut wrong: Vec<String> = counts.iter().filter_map(|(name, count)| self.excess(name, *count)).collect();
        let is_gone = |stored: &&(String, u64)| counts.iter().all(|(name, _)| *name != stored.0);
        wrong.extend(self.stored.iter().filter(is_gone).map(|(name, _)| format!("{name}: is stored and not counted")));
        if wrong.is_empty() {
            return Ok(());
        }
        bail!(
            "{}\nif that is meant, `cargo xtask bench instructions --bless` stores what was counted; \
             target/benches/instructions/*.callgrind says where instructions go (`callgrind_annotate FILE`)",
            wrong.join("\n")
        )
    }

    fn excess(&self, name: &str, count: u64) -> Option<String> {
        let Some(stored) = self.stored(name) else { return Some(format!("{name}: {count} instructions, none stored")) };
        let most = stored + stored * TOLERANCE / 1_000;
        let sentence =
            || format!("{name}: {count} instructions, more than {most}, which is 3 % above the {stored} stored");
        (count > most).then(sentence)
    }

    fn stored(&self, name: &str) -> Option<u64> {
        self.stored.iter().find(|(stored, _)| stored == name).map(|(_, count)| *count)
    }

    /// Stores these in the place of what was there.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn bless(&self, counts: &[(&str, u64)]) -> Result<()> {
        let mut text = HEAD.to_owned();
        for (name, count) in counts {
            let _ = writeln!(text, "\"{name}\" = {count}"); // A string takes everything.
        }
        fs::write(&self.file, text).with_context(|| format!("cannot write {}", self.file.display()))
    }
}

const HEAD: &str = "\
# Instructions of the host's worker for one request, outside the kernel, in the development profile (see README.md).
# `cargo xtask ci` fails where one is 3 % above; `cargo xtask bench instructions --bless` stores what it counts.
";

fn parse(text: &str) -> Result<Vec<(String, u64)>> {
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let entry = |line: &str| {
        let (name, count) = line.split_once(" = ")?;
        let name = name.strip_prefix('"')?.strip_suffix('"')?;
        Some((name.to_owned(), count.parse().ok()?))
    };
    lines.map(|line| entry(line).with_context(|| format!("{line:?} is not a line such as \"name\" = 1234"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_in_a_hundred_more_break_the_budget() {
        check(&[("h1", 100_000), ("h2", 200_000)], &[]);
        check(&[("h1", 103_000), ("h2", 1)], &[]);
        check(
            &[("h1", 103_001), ("h2", 300_000)],
            &[
                "h1: 103001 instructions, more than 103000, which is 3 % above the 100000 stored",
                "h2: 300000 instructions, more than 206000, which is 3 % above the 200000 stored",
            ],
        );
        check(&[("h1", 1), ("h3", 5)], &["h3: 5 instructions, none stored", "h2: is stored and not counted"]);
    }

    #[track_caller]
    fn check(counts: &[(&str, u64)], expected: &[&str]) {
        let stored = parse("# A word.\n\"h1\" = 100000\n\n\"h2\" = 200000\n").expect("it is well");
        let found = Budget { file: PathBuf::new(), stored }.check(counts).map_err(|error| error.to_string());
        let lines = found.err().unwrap_or_default();
        let lines: Vec<&str> = lines.lines().filter(|line| !line.starts_with("if that is meant")).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn what_is_stored_is_read_again_and_nothing_else_is() {
        assert_eq!(
            parse(&format!("{HEAD}\"h1, three plugins\" = 7\n")).expect("well"),
            [("h1, three plugins".into(), 7)]
        );
        let error = parse("h1 = 7").expect_err("no quotes");
        assert_eq!(error.to_string(), "\"h1 = 7\" is not a line such as \"name\" = 1234");
    }
}
