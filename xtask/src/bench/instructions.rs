//! `cargo xtask bench instructions`: the instructions that the host takes for a request, beside those that it may take.
//!
//! The host runs under callgrind, which counts whatever it executes outside the kernel. That does not depend on how busy the machine is, so that
//! one in a hundred is seen where times vary by ten. What is counted is one client's requests, one after another: the difference between
//! many and few of them, so that neither the start nor the connection is in it.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::budget::Budget;
use super::callgrind::{Host, Taken};
use super::origin;
use crate::steps::Steps;
use crate::workspace::Workspace;
use crate::{command, plugins, tools};

/// What to do with what was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Show it beside what is stored.
    Show,
    /// Fail where it is over budget.
    Check,
    /// Store it.
    Bless,
}

/// What is counted: a name, a listener, and how it is asked.
const ROWS: [(&str, &str, Load); 5] = [
    ("h1", "plain", Load::Http1),
    ("h1, three plugins", "plugins", Load::Http1),
    ("h2", "plain", Load::Http2),
    ("h2, three plugins", "plugins", Load::Http2),
    ("handshake and one request", "plain", Load::Handshake),
];

/// Builds what is counted, counts, and prints a row for each kind of request.
///
/// # Errors
/// Something cannot be built or started, or a count is over its budget.
pub(crate) fn run(workspace: &Workspace, then: Then) -> Result<()> {
    let mut steps = Steps::new(4);
    steps.next("looking for valgrind and h2load");
    tools::ensure(&[tools::C_COMPILER, tools::VALGRIND, tools::H2LOAD])?;
    plugins::ensure_targets()?;
    steps.next("building the plugins and the host");
    plugins::build(workspace)?;
    workspace.cargo(&["build", "--workspace", "--bins"])?;
    steps.next("starting the host under valgrind; the first time, it compiles the plugins there");
    let program = workspace.binary("palisade");
    let mut host = Host::start(&program, &config(workspace, &program)?)?;
    steps.next("counting");
    let taken = taken(&mut host)?;
    let budget = Budget::read(&workspace.root().join("benches/instructions.toml"))?;
    println!("\n| a request | allocations | copies | instructions | stored | change |\n|---|---:|---:|---:|---:|---:|");
    for (name, Taken { instructions, allocations, copies }) in &taken {
        println!("| {name} | {allocations} | {copies} | {} |", budget.beside(name, *instructions));
    }
    let counts: Vec<_> = taken.into_iter().map(|(name, taken)| (name, taken.instructions)).collect();
    match then {
        Then::Show => Ok(()),
        Then::Check => budget.check(&counts),
        Then::Bless => budget.bless(&counts),
    }
}

fn taken(host: &mut Host) -> Result<Vec<(&'static str, Taken)>> {
    let listeners = ROWS.iter().map(|(_, listener, _)| host.listener(listener)).collect::<Result<Vec<_>>>()?;
    // Connections to the origins are made, and instances of plugins.
    for ((_, _, load), address) in ROWS.iter().zip(&listeners) {
        load.ask(*address, load.few())?;
    }
    host.begin()?;
    let mut all = Vec::new();
    for ((name, _, load), address) in ROWS.iter().zip(&listeners) {
        load.ask(*address, load.few())?;
        let few = least(host, (name, *load, *address), load.few())?;
        let many = least(host, (name, *load, *address), load.few() + load.more())?;
        all.push((*name, many.one_of(load.more(), few)));
    }
    Ok(all)
}

/// How often the same is counted: what differs is turns of the loop that found less to do than others, which only add.
const TRIES: usize = 3;

fn least(host: &mut Host, (name, load, address): (&str, Load, SocketAddr), requests: u32) -> Result<Taken> {
    let tries = (0..TRIES).map(|_| host.count(name, || load.ask(address, requests)));
    tries.collect::<Result<Vec<_>>>()?.into_iter().min().context("it was counted")
}

/// How a listener is asked.
#[derive(Debug, Clone, Copy)]
enum Load {
    /// HTTP/1.1 over TLS, on one connection.
    Http1,
    /// HTTP/2, likewise.
    Http2,
    /// A new connection for each request, HTTP/1.1 over TLS.
    Handshake,
}

impl Load {
    fn few(self) -> u32 {
        match self {
            Self::Http1 | Self::Http2 => 50,
            Self::Handshake => 5,
        }
    }

    /// How many requests more than few are counted.
    fn more(self) -> u32 {
        match self {
            Self::Http1 | Self::Http2 => 1_000,
            Self::Handshake => 20,
        }
    }

    fn ask(self, address: SocketAddr, requests: u32) -> Result<()> {
        match self {
            Self::Http1 => h2load(address, requests, &["--h1"]),
            Self::Http2 => h2load(address, requests, &[]),
            Self::Handshake => (0..requests).try_for_each(|_| h2load(address, 1, &["--h1"])),
        }
    }
}

/// One request after another on one connection, as a browser would ask.
fn h2load(address: SocketAddr, requests: u32, words: &[&str]) -> Result<()> {
    let count = requests.to_string();
    let mut command = Command::new("h2load");
    command.args(["-n", &count, "-c", "1", "-m", "1"]).args(words);
    command.args(HEADERS.iter().flat_map(|header| ["-H", header]));
    let text = command::read(command.arg(format!("https://{address}/shop/items/4711?page=2")))?;
    let is_well = text.contains(&format!(" {requests} succeeded, 0 failed")) && text.contains(" 0 4xx, 0 5xx");
    ensure!(is_well, "not every request was answered: {text}");
    Ok(())
}

const HEADERS: [&str; 6] = [
    "user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "accept-language: de,en-US;q=0.7,en;q=0.3",
    "accept-encoding: gzip, deflate, br, zstd",
    "cookie: session=0123456789abcdef0123456789abcdef; theme=dark",
    "cache-control: no-cache",
];

/// Writes the configuration and what it needs into a folder of their own.
fn config(workspace: &Workspace, program: &Path) -> Result<PathBuf> {
    let folder = workspace.artifacts().join("benches/instructions");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut certificate = Command::new(program);
    certificate.args(["certificate", "--name", "127.0.0.1", "--out"]).arg(&folder);
    command::run(certificate.stdout(Stdio::null()))?;
    let text = include_str!("../../../benches/instructions/palisade.toml")
        .replace("PLUGINS", &workspace.artifacts().join("plugins").display().to_string())
        .replace("CACHE", &folder.join("cache").display().to_string())
        .replace("NETWORKS", &networks())
        .replace("ORIGIN-A", &origin::start()?.to_string())
        .replace("ORIGIN-B", &origin::start()?.to_string());
    let file = folder.join("palisade.toml");
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// A thousand networks, none of which is the client's.
fn networks() -> String {
    let mut list = String::new();
    for number in 0..1_000_u32 {
        let length = 20 + number % 9;
        let address = Ipv4Addr::from((0x0b00_0000 + number * 0x0001_3579) & (u32::MAX << (32 - length)));
        let _ = write!(list, "\"{address}/{length}\", "); // A string takes everything.
    }
    list
}
