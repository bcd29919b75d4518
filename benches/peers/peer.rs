//! A proxy at work, as a tree of processes on its core.

use std::fmt;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use benches::{Artifacts, Cores, Precedence, Share};

use crate::ours;
use crate::tree;

/// Where proxies find what they are started with.
#[derive(Debug)]
pub(crate) struct Place {
    /// The folder of everything that is written.
    pub(crate) folder: PathBuf,
    binary: Option<PathBuf>,
}

impl Place {
    /// With one certificate for all.
    ///
    /// # Errors
    /// None can be made.
    pub(crate) fn new(artifacts: &Artifacts, binary: Option<PathBuf>) -> Result<Self> {
        let place = Self { folder: artifacts.scratch().join("peers"), binary };
        // A host loads every plugin of its folder: these three, or none.
        for folder in ["plugins", "none"].map(|name| place.folder.join(name)) {
            fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        for plugin in ["firewall", "balance", "qps"] {
            let file = artifacts.plugin(plugin);
            let copy = place.folder.join("plugins").join(plugin).with_extension("wasm");
            fs::copy(&file, copy).with_context(|| format!("cannot copy {}", file.display()))?;
        }
        let (program, first) = place.palisade()?;
        let mut certificate = Command::new(program);
        certificate.args(first).args(["certificate", "--name", "127.0.0.1", "--out"]).arg(&place.folder);
        ensure!(certificate.stdout(Stdio::null()).status()?.success(), "the host makes no certificate");
        let both = fs::read_to_string(place.chain())? + &fs::read_to_string(place.key())?;
        fs::write(place.folder.join("both.pem"), both)?;
        Ok(place)
    }

    /// The command `palisade`: a program, and the word that comes first, if one does.
    ///
    /// # Errors
    /// This program has no place.
    pub(crate) fn palisade(&self) -> Result<(PathBuf, Option<&'static str>)> {
        Ok(match &self.binary {
            Some(binary) => (binary.clone(), None),
            None => (std::env::current_exe().context("this program has no place")?, Some(ours::COMMAND)),
        })
    }

    pub(crate) fn chain(&self) -> PathBuf {
        self.folder.join("127.0.0.1.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder.join("127.0.0.1.key")
    }

    /// Whom clients believe.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }
}

/// A kind of proxy, for one kind of load.
pub(crate) trait Kind: fmt::Debug {
    fn name(&self) -> String;

    /// Writes what it is configured with, and says how it is started: it has to listen on this port of 127.0.0.1.
    ///
    /// # Errors
    /// It is not there, or nothing can be written.
    fn prepare(&self, place: &Place, port: u16, origins: [SocketAddr; 2]) -> Result<(PathBuf, Vec<String>)>;

    /// Where it runs.
    fn share(&self) -> Share {
        Share::One
    }

    /// Whether it holds the rules.
    fn has_rules(&self) -> bool {
        false
    }
}

/// One proxy at work; ends with this.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) folder: PathBuf,
    log: PathBuf,
    process: Child,
}

impl Peer {
    /// Starts one and waits until it listens.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start(kind: &dyn Kind, place: &Place, origins: [SocketAddr; 2], cores: &Cores) -> Result<Self> {
        let mut peer = Self::spawn(kind, place, origins, cores)?;
        peer.listens()?;
        Ok(peer)
    }

    /// Starts one and does not wait.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn spawn(kind: &dyn Kind, place: &Place, origins: [SocketAddr; 2], cores: &Cores) -> Result<Self> {
        // Free a moment ago: nobody else is at work here.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let (program, words) = kind.prepare(place, address.port(), origins)?;
        let name = kind.name();
        let log = place.folder.join(format!("{}.log", name.replace([',', ' '], "-")));
        let mut command = cores.command(kind.share(), &program);
        command.args(words).current_dir(&place.folder).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(fs::File::create(&log)?).env("GOMAXPROCS", "1").env("HOME", &place.folder);
        let process = command.spawn().context("cannot run taskset: it is in util-linux")?;
        Ok(Self { name, address, folder: place.folder.clone(), log, process })
    }

    fn listens(&mut self) -> Result<()> {
        for _ in 0..400 {
            if TcpStream::connect(self.address).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
            self.lives()?;
        }
        anyhow::bail!("{} does not listen after 20 s; see {}", self.name, self.log.display())
    }

    /// # Errors
    /// It has ended.
    pub(crate) fn lives(&mut self) -> Result<()> {
        ensure!(self.process.try_wait()?.is_none(), "{} has ended; see {}", self.name, self.log.display());
        Ok(())
    }

    /// Processor time that it and its children have taken so far, in the kernel and outside.
    ///
    /// # Errors
    /// It is gone.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        tree::cpu(self.process.id()).with_context(|| format!("{} is gone", self.name))
    }

    /// From now on it comes before everything else on its core.
    ///
    /// # Errors
    /// It is gone, or this process may not say so.
    pub(crate) fn take_precedence(&self) -> Result<()> {
        let tree = tree::processes_of(self.process.id()).with_context(|| format!("{} is gone", self.name))?;
        tree.into_iter().try_for_each(|process| Precedence::First.give(process))
    }

    /// Bytes of memory that it and its children have, shared pages by parts.
    ///
    /// # Errors
    /// It is gone.
    pub(crate) fn memory(&self) -> Result<u64> {
        tree::memory(self.process.id()).with_context(|| format!("{} is gone", self.name))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Politely: a master has workers to end. Nothing is left to do if this fails.
        let _ = Command::new("kill").arg(self.process.id().to_string()).stderr(Stdio::null()).status();
        for _ in 0..40 {
            if self.process.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
