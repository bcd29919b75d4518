//! A proxy at work, as a tree of processes on its core.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use benches::Artifacts;

use crate::cores::Cores;
use crate::ours;

/// Where proxies find what they are started with.
#[derive(Debug)]
pub(crate) struct Place {
    /// The folder of everything that is written.
    pub(crate) folder: PathBuf,
    /// Our plugins.
    pub(crate) plugins: PathBuf,
}

impl Place {
    /// With one certificate for all.
    ///
    /// # Errors
    /// None can be made.
    pub(crate) fn new(artifacts: &Artifacts) -> Result<Self> {
        let place = Self { folder: artifacts.scratch().join("peers"), plugins: artifacts.plugins() };
        fs::create_dir_all(&place.folder).with_context(|| format!("cannot make {}", place.folder.display()))?;
        let own = std::env::current_exe().context("this program has no place")?;
        let mut certificate = Command::new(own);
        certificate.args([ours::COMMAND, "certificate", "--name", "127.0.0.1", "--out"]).arg(&place.folder);
        ensure!(certificate.stdout(Stdio::null()).status()?.success(), "the host makes no certificate");
        let both = fs::read_to_string(place.chain())? + &fs::read_to_string(place.key())?;
        fs::write(place.folder.join("both.pem"), both)?;
        Ok(place)
    }

    pub(crate) fn chain(&self) -> PathBuf {
        self.folder.join("127.0.0.1.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder.join("127.0.0.1.key")
    }
}

/// A kind of proxy, for one kind of load.
pub(crate) trait Kind {
    fn name(&self) -> &'static str;

    /// Writes what it is configured with, and says how it is started: it has to listen on this port of 127.0.0.1.
    ///
    /// # Errors
    /// It is not there, or nothing can be written.
    fn prepare(&self, place: &Place, port: u16, origins: [SocketAddr; 2]) -> Result<(PathBuf, Vec<String>)>;
}

/// One proxy at work; ends with this.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) scratch: PathBuf,
    process: Child,
}

impl Peer {
    /// Starts one and waits until it listens.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start(kind: &dyn Kind, place: &Place, origins: [SocketAddr; 2], cores: &Cores) -> Result<Self> {
        // Free a moment ago: nobody else is at work here.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let (program, words) = kind.prepare(place, address.port(), origins)?;
        let log = place.folder.join(format!("{}.log", kind.name().replace([',', ' '], "-")));
        let mut command = cores.host_command(&program);
        command.args(words).current_dir(&place.folder).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(fs::File::create(&log)?).env("GOMAXPROCS", "1").env("HOME", &place.folder);
        let process = command.spawn().context("cannot run taskset: it is in util-linux")?;
        let mut peer = Self { name: kind.name(), address, scratch: place.folder.clone(), process };
        peer.listens(&log)?;
        Ok(peer)
    }

    fn listens(&mut self, log: &Path) -> Result<()> {
        for _ in 0..200 {
            if TcpStream::connect(self.address).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
            ensure!(self.process.try_wait()?.is_none(), "{} ended at once; see {}", self.name, log.display());
        }
        anyhow::bail!("{} does not listen after 10 s; see {}", self.name, log.display())
    }

    /// Processor time that it and its children have taken so far, in the kernel and outside.
    ///
    /// # Errors
    /// It is gone.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let mut known = vec![self.process.id()];
        let all = processes();
        // Parents come before their children, or are found in the next turn.
        loop {
            let more = all.iter().filter(|one| known.contains(&one.parent) && !known.contains(&one.id));
            let more: Vec<u32> = more.map(|one| one.id).collect();
            if more.is_empty() {
                break;
            }
            known.extend(more);
        }
        let own: Vec<&Stat> = all.iter().filter(|one| known.contains(&one.id)).collect();
        ensure!(!own.is_empty(), "{} is gone", self.name);
        Ok(Duration::from_millis(own.iter().map(|one| one.ticks).sum::<u64>() * MILLISECONDS_IN_TICK))
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

/// Linux tells processor times in hundredths of a second.
const MILLISECONDS_IN_TICK: u64 = 10;

struct Stat {
    id: u32,
    parent: u32,
    ticks: u64,
}

fn processes() -> Vec<Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| stat(&entry.path())).collect()
}

fn stat(process: &Path) -> Option<Stat> {
    let id = process.file_name()?.to_str()?.parse().ok()?;
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    // The name may have spaces and parentheses; behind it are state, parent, …, and the 14th and 15th fields of all are ticks of user and
    // of system time.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat { id, parent: u32::try_from(number(1)?).ok()?, ticks: number(11)? + number(12)? })
}
