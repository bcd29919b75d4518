//! What to measure with, and how long.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// What to measure with, and how long.
#[derive(Debug)]
pub(crate) struct Options {
    /// How often each row is measured.
    pub(crate) rounds: usize,
    /// How long good clients ask each time.
    pub(crate) seconds: u32,
    /// The command that the host is; this program itself where there is none.
    pub(crate) binary: Option<PathBuf>,
}

impl Options {
    pub(crate) fn from_words(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self { rounds: 5, seconds: 12, binary: None };
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            let number = |value: String| value.parse().with_context(|| format!("{value:?} is not a number"));
            match word.as_str() {
                "--bench" => {} // cargo says so to every benchmark.
                "--rounds" => options.rounds = usize::try_from(number(value()?)?)?,
                "--seconds" => options.seconds = number(value()?)?,
                "--binary" => options.binary = Some(value()?.into()),
                _ => bail!("there is no option {word}: expected --rounds N, --seconds N or --binary FILE"),
            }
        }
        Ok(options)
    }
}
