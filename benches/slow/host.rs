//! A host, as a process on its core.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::options::Options;
use benches::{Cores, Precedence, Share};

/// The word by which this program knows that it is to be the command `palisade`.
pub(crate) const COMMAND: &str = "palisade";

/// Where a host stands.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// On its own core, before everything else, as what is measured.
    Core(&'a Cores),
    /// On the cores of everything else, when nobody else wants them.
    BehindOthers,
}

/// A host at work; ends with this.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    /// Where things about it are written.
    pub(crate) folder: PathBuf,
    process: Child,
}

impl Host {
    /// Starts one, with an origin for good clients and one for slow ones, and waits until it is ready.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start(options: &Options, [origin, behind]: [SocketAddr; 2], place: Place<'_>) -> Result<Self> {
        let (program, word) = match &options.binary {
            Some(binary) => (binary.clone(), None),
            None => (std::env::current_exe().context("this program has no place")?, Some(COMMAND)),
        };
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the package has a parent folder")?;
        let folder = root.join("target/benches/slow");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let mut certificate = Command::new(&program);
        certificate.args(word).args(["certificate", "--name", "127.0.0.1", "--out"]).arg(&folder);
        ensure!(certificate.stdout(Stdio::null()).status()?.success(), "the host makes no certificate");
        let file = folder.join("palisade.toml");
        let config = include_str!("palisade.toml").replace("ORIGIN", &origin.to_string());
        fs::write(&file, config.replace("BEHIND", &behind.to_string()))?;
        let mut command = match place {
            Place::Core(cores) => cores.command_of(Precedence::First, Share::One, &program),
            Place::BehindOthers => Precedence::Last.command(&program),
        };
        command.args(word).arg("run").arg("--no-last-good").arg(&file);
        let mut process =
            command.stderr(Stdio::piped()).spawn().context("cannot run taskset or chrt: they are in util-linux")?;
        let log = process.stderr.take().context("the host has no log")?;
        Ok(Self { address: listening(BufReader::new(log))?, folder, process })
    }
}

/// Reads the log until the host is ready, and keeps reading so that it never waits for us.
fn listening(mut log: BufReader<ChildStderr>) -> Result<SocketAddr> {
    let (mut listener, mut text) = (None, String::new());
    loop {
        let line_start = text.len();
        if log.read_line(&mut text)? == 0 {
            bail!("the host does not start: {text}");
        }
        let line = text.get(line_start..).unwrap_or_default();
        if line.contains("admin listener") {
            break;
        }
        let address = line.split_once("address=").and_then(|(_, address)| address.trim().parse().ok());
        listener = listener.or(address);
    }
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    listener.context("no listener")
}

impl Drop for Host {
    fn drop(&mut self) {
        // It has nothing to finish. Nothing is left to do if this fails.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
