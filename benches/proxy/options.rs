//! How long to measure.

use anyhow::{Context, Result, bail};

/// How long to measure.
#[derive(Debug)]
pub(crate) struct Options {
    /// How often each host is measured.
    pub(crate) rounds: usize,
    /// How long it is under load each time.
    pub(crate) seconds: u32,
}

impl Options {
    pub(crate) fn from_words(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self { rounds: 9, seconds: 4 };
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a number"));
            let number = |value: String| value.parse().with_context(|| format!("{value:?} is not a number"));
            match word.as_str() {
                "--bench" => {} // cargo says so to every benchmark.
                "--rounds" => options.rounds = usize::try_from(number(value()?)?)?,
                "--seconds" => options.seconds = number(value()?)?,
                _ => bail!("there is no option {word}: expected --rounds N or --seconds N"),
            }
        }
        Ok(options)
    }
}
