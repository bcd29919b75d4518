//! What was measured, as text: printed as it comes, and kept as a file, with a chart.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use benches::{Artifacts, machine};

use crate::options::{Options, Store};
use crate::rounds::Rounds;
use crate::{chart, goals};

/// Everything so far.
#[derive(Debug)]
pub(crate) struct Report {
    text: String,
    store: Store,
    rounds: Vec<Rounds>,
}

impl Report {
    /// Begins with the machine and the figures of the options.
    pub(crate) fn new(options: &Options) -> Self {
        let mut report = Self { text: String::new(), store: options.store, rounds: Vec::new() };
        report.say(&format!("{}. {} rounds of {} s.\n", machine::describe(), options.rounds, options.seconds));
        report
    }

    fn say(&mut self, text: &str) {
        println!("{text}");
        self.text += text;
        self.text.push('\n');
    }

    /// The rows of one load.
    pub(crate) fn rounds(&mut self, rounds: Rounds) {
        if self.rounds.is_empty() {
            self.say(Rounds::HEADING);
        }
        self.say(rounds.to_string().trim_end());
        self.rounds.push(rounds);
    }

    /// How these stand to what was set as goals.
    pub(crate) fn goals(&mut self) {
        let table = goals::table(&self.rounds);
        if !table.is_empty() {
            self.say(&format!("\n{table}"));
        }
    }

    /// One more table.
    pub(crate) fn table(&mut self, title: &str, table: &str) {
        self.say(&format!("\n{title}:\n\n{table}"));
    }

    /// Writes text and chart.
    ///
    /// # Errors
    /// They cannot be written.
    pub(crate) fn store(&self, artifacts: &Artifacts) -> Result<()> {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        let folders = match self.store {
            Store::Target => vec![artifacts.scratch().join("peers")],
            Store::Benches => vec![artifacts.scratch().join("peers"), own],
        };
        for folder in folders {
            let write = |name: &str, text: &str| {
                let file = folder.join(name);
                fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
            };
            let head = "<!-- Written by `cargo xtask bench peers -- --store`. -->\n\n# What was measured\n\n";
            write("RESULTS.md", &format!("{head}{}", self.text))?;
            if !self.rounds.is_empty() {
                write("peers.svg", &chart::svg(&self.rounds))?;
            }
            eprintln!("RESULTS.md and peers.svg are in {}", folder.display());
        }
        Ok(())
    }
}
