//! How long answers take where requests come at a fixed rate that every proxy can keep up with.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use benches::{Precedence, Spread};

use crate::load;
use crate::options::Options;
use crate::peer::Peer;

/// How options call it.
pub(crate) const NAME: &str = "latency";

/// Connections, kept alive; each has its part of the rate.
const CONNECTIONS: u32 = 32;

/// The median and the 99th of a hundred, in microseconds.
#[derive(Debug, Clone, Copy)]
struct Times {
    half: f64,
    late: f64,
}

/// A table for these proxies, which hold the rules. They, the load and the origins come before everything else on their cores: what else the
/// machine does, a millisecond at a time, is not what 99 in 100 requests are to be measured by. Where this process may not say so, they are measured as they are.
///
/// # Errors
/// A request fails, or a proxy is gone.
pub(crate) fn table(options: &Options, peers: &[Peer]) -> Result<String> {
    let own = std::process::id();
    if let Err(error) = Precedence::First.give(own) {
        eprintln!("{NAME}: what else the machine does is measured, too: {error:#}");
        return measure(options, peers);
    }
    peers.iter().try_for_each(Peer::take_precedence)?;
    let table = measure(options, peers);
    Precedence::Usual.give(own)?;
    table
}

fn measure(options: &Options, peers: &[Peer]) -> Result<String> {
    let mut all: Vec<Vec<Times>> = vec![Vec::new(); peers.len()];
    for round in 0..options.rounds {
        for turn in 0..peers.len() {
            let index = (round + turn) % peers.len();
            let (Some(peer), Some(times)) = (peers.get(index), all.get_mut(index)) else { continue };
            eprint!("\r{NAME}: round {} of {}, {:30}", round + 1, options.rounds, peer.name);
            times.push(once(options, peer).with_context(|| format!("{NAME}: {}", peer.name))?);
        }
    }
    eprintln!();
    let first: Vec<f64> = all.first().map(|times| times.iter().map(|times| times.late).collect()).unwrap_or_default();
    let measure = peers.first().map_or("", |peer| peer.name.as_str());
    let mut text = format!(
        "| {} requests/s, h1, rules | p50 µs | p99 µs | quartiles | p99 × {measure}, same round | quartiles |\n|---|---:|---:|---:|---:|---:|\n",
        rate(options)
    );
    for (peer, times) in peers.iter().zip(&all) {
        let (half, late) = (Spread::of(times.iter().map(|one| one.half)), Spread::of(times.iter().map(|one| one.late)));
        let ratio = Spread::of(times.iter().zip(&first).map(|(one, first)| one.late / first));
        text += &format!(
            "| {} | {:.0} | {:.0} | {:.0}–{:.0} | {:.2} | {:.2}–{:.2} |\n",
            peer.name, half.median, late.median, late.low, late.high, ratio.median, ratio.low, ratio.high
        );
    }
    Ok(text)
}

fn rate(options: &Options) -> u32 {
    options.rate.div_ceil(CONNECTIONS) * CONNECTIONS
}

fn once(options: &Options, peer: &Peer) -> Result<Times> {
    // Not in the folder itself, which a host watches.
    let log = peer.folder.with_file_name("peers-latency.log");
    if log.exists() {
        fs::remove_file(&log)?; // It would be written behind what is there.
    }
    let mut h2load = Command::new("h2load");
    let words = format!("--h1 -t 1 -c {CONNECTIONS} -m 1 -D {} --rps {}", options.seconds, rate(options) / CONNECTIONS);
    h2load.args(words.split(' ')).arg(format!("--log-file={}", log.display()));
    load::run(&mut h2load, &format!("https://{}/shop/items/1024?page=2", peer.address))?;
    times(&log)
}

/// Lines of start, status and microseconds.
fn times(log: &Path) -> Result<Times> {
    let text = fs::read_to_string(log).with_context(|| format!("cannot read {}", log.display()))?;
    let mut all = Vec::new();
    for line in text.lines() {
        let mut fields = line.split('\t').skip(1);
        let (status, micros) = (fields.next(), fields.next().and_then(|micros| micros.parse::<u32>().ok()));
        ensure!(status == Some("200"), "a request was not answered with 200: {line:?}");
        all.push(micros.with_context(|| format!("{line:?} is not a line of h2load's"))?);
    }
    all.sort_unstable();
    let at = |hundredth: usize| all.get(all.len() * hundredth / 100).copied().map(f64::from);
    Ok(Times { half: at(50).context("nothing was answered")?, late: at(99).context("nothing was answered")? })
}
