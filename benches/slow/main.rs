//! What good clients notice of slow ones: `cargo bench --bench slow [-- --rounds N --seconds N --binary FILE]`.
//!
//! A host with one worker stands on one core, everything else on the others. Good clients (h2load) send so many requests a second,
//! far less than the host could answer, first with nobody beside them and then beside a thousand slow connections
//! (slowhttptest): slow heads, slow bodies, answers that are hardly read. Told is how long 99 in 100 of the good ones' requests took
//! at most, and how much more that is than without slow ones in the same round. A second quiet row shows what the machine makes of
//! nothing. The host, the good clients and their origin come before everything else on their cores, so that the machine's own services are not
//! measured. The slow clients have an origin of their own, and both come behind the good ones on the cores that they share. What they cost the
//! machine is seen by their being, in a row of its own, clients of another host, which comes behind the good ones as well.
//!
//! A host is this very program again, as the command `palisade`. With `--binary` it is another one.

#![forbid(unsafe_code)]

mod host;
mod load;
mod options;

use std::net::SocketAddr;

use anyhow::{Context, Result};
use benches::{Cores, Spread, machine, origin};
use clap::Parser as _;

use crate::host::{Host, Place};
use crate::load::{Good, Slow};
use crate::options::Options;

/// The host's own allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    if std::env::args().nth(1).is_some_and(|word| word == host::COMMAND) {
        return palisade::cli::Command::parse_from(std::env::args().skip(1)).run().map(drop);
    }
    let options = Options::from_words(std::env::args().skip(1))?;
    println!("{}\n", machine::describe());
    // Everything that this process starts from here on, threads and programs, stays off the host's core.
    let cores = Cores::split()?;
    let origins = [origin::start_before_others()?, origin::start_behind_others()?];
    let host = Host::start(&options, origins, Place::Core(&cores))?;
    let other = Host::start(&options, origins, Place::BehindOthers)?;
    let mut rows = Vec::from(ROWS.map(|(name, slow, whose)| Row { name, slow, whose, measured: Vec::new() }));
    for round in 0..options.rounds {
        for row in &mut rows {
            let theirs = match row.whose {
                Whose::This => host.address,
                Whose::Other => other.address,
            };
            let measured = beside(row.slow.map(|slow| (slow, theirs)), &host, &options);
            row.measured.push(measured.with_context(|| format!("{}, round {round}", row.name))?);
        }
    }
    println!("{HEADING}");
    let quiet: Vec<Good> = rows.first().map(|row| row.measured.clone()).unwrap_or_default();
    rows.iter().for_each(|row| println!("{}", row.told(&quiet)));
    Ok(())
}

/// Whose clients the slow ones are.
#[derive(Debug, Clone, Copy)]
enum Whose {
    /// Those of the host that the good ones ask.
    This,
    Other,
}

const ROWS: [(&str, Option<Slow>, Whose); 8] = [
    ("nobody", None, Whose::This),
    ("nobody, again", None, Whose::This),
    ("slow heads, at another host", Some(Slow::Heads), Whose::Other),
    ("slow heads", Some(Slow::Heads), Whose::This),
    ("slow bodies, at another host", Some(Slow::Bodies), Whose::Other),
    ("slow bodies", Some(Slow::Bodies), Whose::This),
    ("slow readers, at another host", Some(Slow::Readers), Whose::Other),
    ("slow readers", Some(Slow::Readers), Whose::This),
];

const HEADING: &str = "| beside | p50 ms | p99 ms | quartiles | × quiet p99, same round | quartiles | requests | errors |\n\
                       |---|---:|---:|---:|---:|---:|---:|---:|";

/// Good clients beside one kind of slow ones, round by round.
struct Row {
    name: &'static str,
    slow: Option<Slow>,
    whose: Whose,
    measured: Vec<Good>,
}

impl Row {
    fn told(&self, quiet: &[Good]) -> String {
        let spread = |value: fn(&Good) -> f64| Spread::of(self.measured.iter().map(value));
        let (p50, p99) = (spread(|good| good.p50_ms), spread(|good| good.p99_ms));
        let ratio = Spread::of(self.measured.iter().zip(quiet).map(|(good, quiet)| good.p99_ms / quiet.p99_ms));
        let sum = |value: fn(&Good) -> u64| self.measured.iter().map(value).sum::<u64>();
        format!(
            "| {} | {:.2} | {:.2} | {:.2}–{:.2} | {:.2} | {:.2}–{:.2} | {} | {} |",
            self.name,
            p50.median,
            p99.median,
            p99.low,
            p99.high,
            ratio.median,
            ratio.low,
            ratio.high,
            sum(|good| good.requests),
            sum(|good| good.errors),
        )
    }
}

/// What good clients see while slow ones come and stay.
fn beside(slow: Option<(Slow, SocketAddr)>, host: &Host, options: &Options) -> Result<Good> {
    let slow = slow.map(|(slow, theirs)| slow.begin(theirs, options.seconds)).transpose()?;
    let good = Good::measure(host, options.seconds)?;
    if let Some(slow) = slow {
        slow.end()?;
    }
    Ok(good)
}
