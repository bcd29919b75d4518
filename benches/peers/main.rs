//! Palisade beside others at the same work: `cargo xtask bench peers [-- OPTIONS]`.
//!
//! Proxies stand side by side on one core, each with one worker; load and origins have the others. One at a time is under
//! load, for some seconds, in an order that each round begins with another one. What is told is the processor time that its
//! whole process tree took for each answer, and the ratio to nginx's *in the same round*: neighbours on the hardware slow a core up to
//! twofold, for all alike. Every other round all are started anew, because chance has a part in how fast a process is.
//!
//! The rules that the proxies hold are one list (`rules`), written in each one's own words.

#![forbid(unsafe_code)]

mod bare;
mod chart;
mod client;
mod goals;
mod handshakes;
mod http3;
mod idle;
mod latency;
mod load;
mod options;
mod others;
mod ours;
mod peer;
mod report;
mod rounds;
mod rules;
mod spin;
mod start;
mod tree;

use std::net::SocketAddr;

use anyhow::Result;
use benches::{Artifacts, Cores};
use clap::Parser as _;

use crate::load::Load;
use crate::options::Options;
use crate::peer::{Peer, Place};
use crate::report::Report;
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
    let place = Place::new(&artifacts, options.binary.clone())?;
    let mut report = Report::new(&options);
    idle::allow_files(&options)?;
    // Everything that this process starts from here on, threads and programs, stays off the proxies' core.
    let cores = Cores::split()?;
    let origins = [benches::origin::start()?, benches::origin::start()?];
    for load in Load::ALL.into_iter().filter(|load| options.wants_load(load.name())) {
        let start = || peers(load, &options, (&place, origins, &cores));
        report.rounds(Rounds::run(load, start, (&options, &cores))?);
    }
    report.goals();
    if options.wants_load(latency::NAME) {
        let peers = peers(Load::Rules, &options, (&place, origins, &cores))?;
        report.table("Times at a fixed rate", &latency::table(&options, &peers)?);
    }
    if options.wants_load(start::NAME) {
        report.table("From the start to the first answer", &start::table(&options, &place, origins, &cores)?);
    }
    if options.wants_load(idle::NAME) {
        report.table("Idle connections", &idle::table(&options, &place, origins, &cores)?);
    }
    report.store(&artifacts)
}

/// Those that are wanted for a load, at work; those that say that they hold the rules do.
fn peers(
    load: Load,
    options: &Options,
    (place, origins, cores): (&Place, [SocketAddr; 2], &Cores),
) -> Result<Vec<Peer>> {
    let all = ours::of(load).into_iter().chain(others::of(load));
    let mut peers = Vec::new();
    for kind in all.filter(|kind| options.wants_peer(&kind.name())) {
        let peer = Peer::start(kind.as_ref(), place, origins, cores)?;
        if kind.has_rules() {
            rules::check(&peer.name, peer.address)?;
        }
        peers.push(peer);
    }
    Ok(peers)
}
