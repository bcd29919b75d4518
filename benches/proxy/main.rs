//! What the chain of three plugins costs the proxy: `cargo bench --bench proxy [-- --rounds N --seconds N --binary FILE]`.
//!
//! Three hosts stand side by side on one core, each with one worker: one without plugins, the same once more, and one with
//! the firewall, the balancer and the observer. A load generator on the other cores asks one of them at a time, as fast as
//! it answers. What is told is the processor time that a host took for each request, and how much more that is than the
//! first one took in the same round. How far the second one is from the first is what the machine's noise makes of nothing.
//!
//! A host is this very program again, as the command `palisade`: the same library, allocator and profile. With `--binary`
//! it is another one, such as one of the profile `dist`.

#![forbid(unsafe_code)]

mod cores;
mod host;
mod load;
mod options;
mod origin;
mod rounds;

use anyhow::Result;
use benches::{Artifacts, machine};
use clap::Parser as _;

use crate::cores::Cores;
use crate::host::{Host, Setup};
use crate::load::Load;
use crate::options::Options;
use crate::rounds::Rounds;

/// The host's own allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    if std::env::args().nth(1).is_some_and(|word| word == host::COMMAND) {
        return palisade::cli::Command::parse_from(std::env::args().skip(1)).run().map(drop);
    }
    let options = Options::from_words(std::env::args().skip(1))?;
    let setup = Setup::new(&Artifacts::with_plugins()?, options.binary.as_deref())?;
    println!("{}\n\n{}", machine::describe(), Rounds::HEADING);
    // Everything that this process starts from here on, threads and programs, stays off the hosts' core.
    let cores = Cores::split()?;
    let origins = [origin::start()?, origin::start()?];
    let hosts = [("no plugin", ""), ("no plugin, again", ""), ("firewall, balance, qps", CHAIN)];
    let hosts = hosts.map(|(name, chain)| Host::start(name, &setup, chain, origins, &cores));
    let mut hosts = hosts.into_iter().collect::<Result<Vec<_>>>()?;
    for load in [Load::Http1, Load::Http2] {
        let rounds = Rounds::run(load, &mut hosts, &options)?;
        print!("{rounds}");
    }
    hosts.iter_mut().try_for_each(Host::check)
}

const CHAIN: &str = r#""edge-firewall", "balance", "qps""#;
