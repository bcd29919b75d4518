//! What an idle connection costs: memory before and after so many clients have asked once and stayed.

use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use benches::Cores;

use crate::client::Client;
use crate::options::Options;
use crate::others;
use crate::ours::Palisade;
use crate::peer::{Kind, Peer, Place};

/// How options call it.
pub(crate) const NAME: &str = "idle connections";

/// Files that this process and each proxy may have open, beside connections.
const FILES: usize = 2_000;

/// How long memory may settle.
const SETTLE: Duration = Duration::from_secs(2);

/// A table: memory at rest, and what each connection adds.
///
/// # Errors
/// A proxy does not start, or lets a client go.
pub(crate) fn table(options: &Options, place: &Place, origins: [SocketAddr; 2], cores: &Cores) -> Result<String> {
    let client = Client::new(&place.authority())?;
    let ours: [Box<dyn Kind>; 2] = [Box::new(Palisade::plain()), Box::new(Palisade::with_plugins())];
    let mut rows = String::new();
    for kind in ours.into_iter().chain(others::plain()).filter(|kind| options.wants_peer(&kind.name())) {
        eprintln!("{NAME}: {}", kind.name());
        let mut peer = Peer::start(kind.as_ref(), place, origins, cores)?;
        let row = row(&mut peer, &client, options.connections).with_context(|| format!("{NAME}: {}", peer.name))?;
        rows.push_str(&row);
    }
    let heading = format!(
        "| proxy | MiB at rest | KiB for each of {} idle TLS connections |\n|---|---:|---:|\n",
        options.connections
    );
    Ok(heading + &rows)
}

#[expect(clippy::cast_precision_loss, reason = "memory is below 2^52 bytes")]
fn row(peer: &mut Peer, client: &Client, connections: usize) -> Result<String> {
    for _ in 0..50 {
        client.ask(peer.address)?;
    }
    thread::sleep(SETTLE);
    let before = peer.memory()?;
    let open: Vec<TcpStream> = (0..connections).map(|_| client.ask(peer.address)).collect::<Result<_>>()?;
    thread::sleep(SETTLE);
    let after = peer.memory()?;
    let is_there = |stream: &&TcpStream| stream.set_nonblocking(true).is_ok() && is_open(stream);
    let there = open.iter().filter(is_there).count();
    ensure!(there == connections, "of {connections} connections {there} are left");
    peer.lives()?;
    let each = (after as f64 - before as f64) / connections as f64;
    Ok(format!("| {} | {:.1} | {:.2} |\n", peer.name, before as f64 / f64::from(1 << 20), each / 1024.0))
}

/// Nothing has come but what belongs to TLS, such as tickets, and certainly not the end.
fn is_open(stream: &TcpStream) -> bool {
    let mut piece = [0; 16];
    match stream.peek(&mut piece) {
        Ok(count) => count > 0,
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    }
}

/// Allows this process, and whatever it starts, as many files as the benchmark needs.
///
/// # Errors
/// It is not ours to allow.
pub(crate) fn allow_files(options: &Options) -> Result<()> {
    let files = options.connections + FILES;
    let own = std::process::id().to_string();
    let limit = format!("--nofile={files}:");
    let mut command = Command::new("prlimit");
    let done = command.args(["--pid", &own, &limit]).stdout(Stdio::null()).status();
    ensure!(
        done.context("cannot run prlimit: it is in util-linux")?.success(),
        "{files} open files are not allowed here: `ulimit -Hn` says how many are"
    );
    Ok(())
}
