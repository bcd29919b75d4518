//! The proxies under load by turns, and what comes of it.

use std::fmt;

use anyhow::{Context, Result};
use benches::{Cores, Spread};

use crate::load::Load;
use crate::options::Options;
use crate::peer::Peer;
use crate::spin;

/// The one that ratios are to, where it is measured.
const MEASURE: &str = "nginx";

/// A proxy that takes less of its core than this was not what held the load up.
const BUSY: f64 = 0.9;

/// After so many rounds all proxies are started anew: where a process's memory and code come to lie, and so which of it is in each other's
/// way in the caches, is chance, and moves its time by up to three in a hundred for as long as it lives.
const LIFE: usize = 2;

/// What was measured of every proxy under one kind of load.
#[derive(Debug)]
pub(crate) struct Rounds {
    load: Load,
    peers: Vec<(String, Measured)>,
}

/// One proxy's figures, in the order of the rounds.
#[derive(Debug, Default)]
struct Measured {
    micros_per_request: Vec<f64>,
    requests_per_second: Vec<f64>,
    busy: Vec<f64>,
    core: Vec<f64>,
}

impl Rounds {
    /// Above the rows of all of them.
    pub(crate) const HEADING: &'static str = "\
| load | proxy | × nginx, same round | quartiles | CPU µs per request | requests/s | core busy | core, ms for the loop |
|---|---|---:|---:|---:|---:|---:|---:|";

    /// Puts each proxy under load as often as the options say, each round beginning with another one.
    ///
    /// # Errors
    /// One does not start, a request fails, or a proxy ends.
    pub(crate) fn run(
        load: Load,
        start: impl Fn() -> Result<Vec<Peer>>,
        (options, cores): (&Options, &Cores),
    ) -> Result<Self> {
        let mut peers = Vec::new();
        let mut measured = Vec::new();
        for round in 0..options.rounds {
            if round % LIFE == 0 {
                peers.clear();
                peers = start()?;
                warm_up(load, &peers)?;
                measured.resize_with(peers.len(), Measured::default);
            }
            for turn in 0..peers.len() {
                let index = (round + turn) % peers.len();
                let (Some(peer), Some(measured)) = (peers.get(index), measured.get_mut(index)) else {
                    continue;
                };
                eprint!("\r{}: round {} of {}, {:30}", load.name(), round + 1, options.rounds, peer.name);
                measured.core.push(spin::milliseconds(cores)?);
                measured.add(load, peer, options.seconds).with_context(|| format!("{}: {}", load.name(), peer.name))?;
            }
        }
        eprintln!();
        let names = peers.iter().map(|peer| peer.name.clone());
        Ok(Self { load, peers: names.zip(measured).collect() })
    }

    pub(crate) fn load(&self) -> Load {
        self.load
    }

    /// Each proxy's ratio to the measure: nginx, or the first one where that is not there.
    pub(crate) fn ratios(&self) -> Vec<(&str, Spread)> {
        let measure = self.peers.iter().map(|(name, _)| name.as_str()).find(|name| *name == MEASURE);
        let Some(measure) = measure.or(self.peers.first().map(|(name, _)| name.as_str())) else { return Vec::new() };
        self.peers.iter().filter_map(|(name, _)| Some((name.as_str(), self.ratio(name, measure)?))).collect()
    }

    /// One proxy's time for a request over another's in the same round; none where one is not measured.
    pub(crate) fn ratio(&self, one: &str, other: &str) -> Option<Spread> {
        let of = |wanted: &str| {
            let found = self.peers.iter().find(|(name, _)| name == wanted);
            found.map(|(_, measured)| measured.micros_per_request.iter())
        };
        Some(Spread::of(of(one)?.zip(of(other)?).map(|(one, other)| one / other)))
    }

    /// One proxy's time for a request less another's in the same round, in microseconds.
    pub(crate) fn difference(&self, one: &str, other: &str) -> Option<Spread> {
        let of = |wanted: &str| {
            let found = self.peers.iter().find(|(name, _)| name == wanted);
            found.map(|(_, measured)| measured.micros_per_request.iter())
        };
        Some(Spread::of(of(one)?.zip(of(other)?).map(|(one, other)| one - other)))
    }
}

/// Connections to the origins are made, code is in the caches.
fn warm_up(load: Load, peers: &[Peer]) -> Result<()> {
    for peer in peers {
        let answers = load.run(peer.address, 1, &peer.folder);
        answers.with_context(|| format!("{}: {}", load.name(), peer.name))?;
    }
    Ok(())
}

impl Measured {
    #[expect(clippy::cast_precision_loss, reason = "there are fewer requests than 2^52")]
    fn add(&mut self, load: Load, peer: &Peer, seconds: u32) -> Result<()> {
        let before = peer.cpu()?;
        let answers = load.run(peer.address, seconds, &peer.folder)?;
        let spent = (peer.cpu()? - before).as_secs_f64();
        self.micros_per_request.push(spent * 1e6 / answers as f64);
        self.requests_per_second.push(answers as f64 / f64::from(seconds));
        self.busy.push(spent / f64::from(seconds));
        Ok(())
    }
}

impl fmt::Display for Rounds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((name, measured), (_, ratio)) in self.peers.iter().zip(self.ratios()) {
            let middle = |figures: &[f64]| Spread::of(figures.iter().copied()).median;
            let busy = middle(&measured.busy);
            let mark = if busy < BUSY { " (idle in part)" } else { "" };
            write!(out, "| {} | {name} | {:.2} | {:.2}–{:.2} ", self.load.name(), ratio.median, ratio.low, ratio.high)?;
            write!(
                out,
                "| {:.2} | {:.0} ",
                middle(&measured.micros_per_request),
                middle(&measured.requests_per_second)
            )?;
            writeln!(out, "| {:.0} %{mark} | {:.1} |", busy * 100.0, middle(&measured.core))?;
        }
        Ok(())
    }
}
