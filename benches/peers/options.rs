//! What to measure, and how long.

use anyhow::{Context, Result, bail};

/// What to measure, and how long.
#[derive(Debug)]
pub(crate) struct Options {
    /// How often each proxy is measured.
    pub(crate) rounds: usize,
    /// How long it is under load each time.
    pub(crate) seconds: u32,
    loads: Vec<String>,
    peers: Vec<String>,
}

impl Options {
    pub(crate) fn from_words(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self { rounds: 12, seconds: 3, loads: Vec::new(), peers: Vec::new() };
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            let number = |value: String| value.parse().with_context(|| format!("{value:?} is not a number"));
            let list = |value: String| value.split(',').map(|one| one.trim().to_lowercase()).collect();
            match word.as_str() {
                "--bench" => {} // cargo says so to every benchmark.
                "--rounds" => options.rounds = usize::try_from(number(value()?)?)?,
                "--seconds" => options.seconds = number(value()?)?,
                "--load" => options.loads = list(value()?),
                "--peer" => options.peers = list(value()?),
                _ => bail!("there is no option {word}: expected --rounds N, --seconds N, --load W1,… or --peer NAME,…"),
            }
        }
        Ok(options)
    }

    /// Whether the load of this name is asked for: by how it begins.
    pub(crate) fn wants_load(&self, name: &str) -> bool {
        wants(&self.loads, name)
    }

    /// Whether the peer of this name is asked for: by how it begins.
    pub(crate) fn wants_peer(&self, name: &str) -> bool {
        wants(&self.peers, name)
    }
}

fn wants(words: &[String], name: &str) -> bool {
    let name = name.to_lowercase();
    words.is_empty() || words.iter().any(|word| name.starts_with(word.as_str()))
}
