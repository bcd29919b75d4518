//! The hosts under load by turns, and what comes of it.

use std::fmt;

use anyhow::Result;
use benches::Spread;

use crate::host::Host;
use crate::load::Load;
use crate::options::Options;

/// What was measured of every host under one kind of load.
#[derive(Debug)]
pub(crate) struct Rounds {
    load: Load,
    hosts: Vec<(&'static str, Measured)>,
}

/// One host's figures, in the order of the rounds.
#[derive(Debug, Default)]
struct Measured {
    micros_per_request: Vec<f64>,
    requests_per_second: Vec<f64>,
}

impl Rounds {
    /// Above the rows of all of them.
    pub(crate) const HEADING: &'static str = "\
| load | host | CPU µs per request | quartiles | × no plugin, same round | quartiles | requests/s |
|---|---|---:|---:|---:|---:|---:|";

    /// Puts each host under load as often as the options say, each round beginning with another host.
    ///
    /// # Errors
    /// A request fails, or a host ends.
    pub(crate) fn run(load: Load, hosts: &mut [Host], options: &Options) -> Result<Self> {
        let mut measured: Vec<_> = hosts.iter().map(|host| (host.name, Measured::default())).collect();
        for host in hosts.iter_mut() {
            host.answered(load.run(host.address, 1)?); // Connections to the origins are made, code is in the caches.
        }
        for round in 0..options.rounds {
            for turn in 0..hosts.len() {
                let index = (round + turn) % hosts.len();
                let (Some(host), Some((name, measured))) = (hosts.get_mut(index), measured.get_mut(index)) else {
                    continue;
                };
                eprint!("\r{}: round {} of {}, {name:30}", load.name(), round + 1, options.rounds);
                measured.add(load, host, options.seconds)?;
            }
        }
        eprintln!();
        Ok(Self { load, hosts: measured })
    }
}

impl Measured {
    #[expect(clippy::cast_precision_loss, reason = "there are fewer requests than 2^52")]
    fn add(&mut self, load: Load, host: &mut Host, seconds: u32) -> Result<()> {
        let before = host.cpu()?;
        let answers = load.run(host.address, seconds)?;
        let spent = host.cpu()? - before;
        host.answered(answers);
        self.micros_per_request.push(spent.as_secs_f64() * 1e6 / answers as f64);
        self.requests_per_second.push(answers as f64 / f64::from(seconds));
        Ok(())
    }
}

impl fmt::Display for Rounds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((_, first)) = self.hosts.first() else { return Ok(()) };
        for (name, measured) in &self.hosts {
            let pairs = measured.micros_per_request.iter().zip(&first.micros_per_request);
            let ratio = Spread::of(pairs.map(|(own, first)| own / first));
            let micros = Spread::of(measured.micros_per_request.iter().copied());
            let rate = Spread::of(measured.requests_per_second.iter().copied()).median;
            write!(out, "| {} | {name} ", self.load.name())?;
            write!(out, "| {:.2} | {:.2}–{:.2} ", micros.median, micros.low, micros.high)?;
            writeln!(out, "| {:.3} | {:.3}–{:.3} | {rate:.0} |", ratio.median, ratio.low, ratio.high)?;
        }
        Ok(())
    }
}
