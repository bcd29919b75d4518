//! Palisade beside others at the same work: `cargo xtask bench peers [-- --rounds N --seconds N --load WORDS --peer WORDS]`.
//!
//! Proxies stand side by side on one core, each with one worker; load and origins have the others. One at a time is under
//! load, for some seconds, in an order that each round begins with another one. What is told is the processor time that its
//! whole process tree took for each answer, and the ratio to nginx's *in the same round*: neighbours on the hardware slow a core up to
//! twofold, for all alike.
//!
//! The rules that the proxies hold are one list (`rules`), written in each one's own words.

#![forbid(unsafe_code)]

mod bare;
mod chart;
#[path = "../proxy/cores.rs"]
mod cores;
mod load;
mod options;
mod origin;
mod others;
mod ours;
mod peer;
mod rounds;
mod rules;
mod spin;

use std::fs;

use anyhow::{Context, Result};
use benches::{Artifacts, machine};
use clap::Parser as _;

use crate::cores::Cores;
use crate::load::Load;
use crate::options::Options;
use crate::peer::{Peer, Place};
use crate::rounds::Rounds;

/// The host's own allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some(ours::COMMAND) => return palisade::cli::Command::parse_from(&words).run().map(drop),
        Some(bare::COMMAND) => return bare::run(words.get(1..).unwrap_or_default()),
        Some(spin::COMMAND) => return spin::run(),
        _ => {}
    }
    let options = Options::from_words(words.into_iter())?;
    let artifacts = Artifacts::with_plugins()?;
    let place = Place::new(&artifacts)?;
    println!("{}\n", machine::describe());
    // Everything that this process starts from here on, threads and programs, stays off the proxies' core.
    let cores = Cores::split()?;
    let origins = [origin::start()?, origin::start()?];
    let mut charts = Vec::new();
    println!("{}", Rounds::HEADING);
    for load in Load::ALL.into_iter().filter(|load| options.wants_load(load.name())) {
        let all = ours::of(load).into_iter().chain(others::of(load));
        let wanted = all.filter(|peer| options.wants_peer(peer.name()));
        let started = wanted.map(|kind| Peer::start(kind.as_ref(), &place, origins, &cores));
        let mut peers = started.collect::<Result<Vec<_>>>()?;
        let rounds = Rounds::run(load, &mut peers, (&options, &cores))?;
        print!("{rounds}");
        charts.push(rounds);
    }
    let file = artifacts.scratch().join("peers.svg");
    fs::write(&file, chart::svg(&charts)).with_context(|| format!("cannot write {}", file.display()))?;
    eprintln!("the chart is in {}", file.display());
    Ok(())
}
