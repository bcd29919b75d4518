//! What to measure, and how long.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// What to measure, and how long.
#[derive(Debug)]
pub(crate) struct Options {
    /// How often each proxy is measured.
    pub(crate) rounds: usize,
    /// How long it is under load each time.
    pub(crate) seconds: u32,
    /// How many connections are held idle.
    pub(crate) connections: usize,
    /// Requests in a second, where times are measured.
    pub(crate) rate: u32,
    /// The command `palisade`; this program itself where there is none.
    pub(crate) binary: Option<PathBuf>,
    /// Whether table and chart take the place of those in benches/.
    pub(crate) store: Store,
    loads: Vec<String>,
    peers: Vec<String>,
}

/// Where the results go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    /// To the output and below target/.
    Target,
    /// Into benches/ as well.
    Benches,
}

impl Options {
    pub(crate) fn from_words(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            rounds: 12,
            seconds: 2,
            connections: 10_000,
            rate: 8_000,
            binary: None,
            store: Store::Target,
            loads: Vec::new(),
            peers: Vec::new(),
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            let number = |value: String| value.parse().with_context(|| format!("{value:?} is not a number"));
            let list = |value: String| value.split(',').map(|one| one.trim().to_lowercase()).collect();
            match word.as_str() {
                "--bench" => {} // cargo says so to every benchmark.
                "--rounds" => options.rounds = usize::try_from(number(value()?)?)?,
                "--seconds" => options.seconds = number(value()?)?,
                "--connections" => options.connections = usize::try_from(number(value()?)?)?,
                "--rate" => options.rate = number(value()?)?,
                "--binary" => options.binary = Some(std::path::absolute(value()?)?),
                "--store" => options.store = Store::Benches,
                "--load" => options.loads = list(value()?),
                "--peer" => options.peers = list(value()?),
                _ => bail!("there is no option {word}: expected {EXPECTED}"),
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

const EXPECTED: &str = "--rounds N, --seconds N, --load W1,W2,…,latency,idle,start, --peer NAME,…, --connections N, --rate N, \
                        --binary FILE or --store";

fn wants(words: &[String], name: &str) -> bool {
    let name = name.to_lowercase();
    words.is_empty() || words.iter().any(|word| name.starts_with(word.as_str()))
}
