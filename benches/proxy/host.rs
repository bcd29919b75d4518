//! A host, as a process on its core.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use benches::Artifacts;

use crate::cores::Cores;

/// The word by which this program knows that it is to be the command `palisade`.
pub(crate) const COMMAND: &str = "palisade";

/// What hosts are started from.
#[derive(Debug)]
pub(crate) struct Setup {
    /// The program, and what stands before the words of the command line.
    program: (PathBuf, Option<&'static str>),
    plugins: PathBuf,
    folder: PathBuf,
}

impl Setup {
    /// Makes a certificate.
    ///
    /// # Errors
    /// That does not work.
    pub(crate) fn new(artifacts: &Artifacts, binary: Option<&Path>) -> Result<Self> {
        let program = match binary {
            Some(binary) => (binary.to_owned(), None),
            None => (std::env::current_exe().context("this program has no place")?, Some(COMMAND)),
        };
        let setup = Self { program, plugins: artifacts.plugins(), folder: artifacts.scratch().join("proxy") };
        fs::create_dir_all(&setup.folder).with_context(|| format!("cannot make {}", setup.folder.display()))?;
        let mut certificate = Command::new(&setup.program.0);
        certificate
            .args(setup.program.1)
            .args(["certificate", "--name", "127.0.0.1", "--out"])
            .arg(&setup.folder)
            .stdout(Stdio::null());
        ensure!(certificate.status()?.success(), "the host makes no certificate");
        Ok(setup)
    }

    fn config(&self, chain: &str, origins: [SocketAddr; 2]) -> String {
        let [a, b] = origins;
        let text = include_str!("palisade.toml");
        text.replace("PLUGINS", &self.plugins.display().to_string())
            .replace("CHAIN", chain)
            .replace("ORIGIN-A", &a.to_string())
            .replace("ORIGIN-B", &b.to_string())
    }
}

/// One host at work; ends with this.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
    has_chain: bool,
    answered: u64,
    process: Process,
}

impl Host {
    /// Starts one with this chain and waits until it is ready.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start(
        name: &'static str,
        setup: &Setup,
        chain: &str,
        origins: [SocketAddr; 2],
        cores: &Cores,
    ) -> Result<Self> {
        let file = setup.folder.join(format!("{}.toml", name.replace([',', ' '], "-")));
        fs::write(&file, setup.config(chain, origins))?;
        let mut command = cores.host_command(&setup.program.0);
        command.args(setup.program.1).arg("run").arg(&file);
        let mut child = command.stderr(Stdio::piped()).spawn().context("cannot run taskset: it is in util-linux")?;
        let log = child.stderr.take().context("the host has no log")?;
        let process = Process(child);
        let (address, admin) = addresses(BufReader::new(log))?;
        Ok(Self { name, address, admin, has_chain: !chain.is_empty(), answered: 0, process })
    }

    /// Processor time that it has taken so far, in the kernel and outside.
    ///
    /// # Errors
    /// It is gone.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let path = format!("/proc/{}/stat", self.process.0.id());
        let stat = fs::read_to_string(&path).with_context(|| format!("{} is gone", self.name))?;
        // The name may have spaces and parentheses; the 14th and 15th fields are ticks of user and of system time.
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ');
        let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Ok(Duration::from_millis(ticks * MILLISECONDS_IN_TICK))
    }

    /// Takes note of what a load generator says that this host answered.
    pub(crate) fn answered(&mut self, requests: u64) {
        self.answered += requests;
    }

    /// That its plugins have seen every request, or that it has none.
    ///
    /// # Errors
    /// They have not: what was measured was something else.
    pub(crate) fn check(&mut self) -> Result<()> {
        let metrics = get(self.admin, "/metrics")?;
        let counted = |metric: &str| -> f64 {
            let values = metrics.lines().filter(|line| line.starts_with(metric));
            values.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
        };
        let seen = counted("palisade_qps_requests_total");
        #[expect(clippy::cast_precision_loss, reason = "there are fewer requests than 2^52")]
        let answered = self.answered as f64;
        let is_right = if self.has_chain { seen >= answered } else { seen == 0.0 };
        ensure!(is_right, "{}: {answered} requests were answered and the observer has seen {seen}", self.name);
        Ok(())
    }
}

/// Linux tells processor times in hundredths of a second.
const MILLISECONDS_IN_TICK: u64 = 10;

/// Reads the log until the host is ready, and keeps reading so that it never waits for us.
fn addresses(mut log: BufReader<ChildStderr>) -> Result<(SocketAddr, SocketAddr)> {
    let (mut listener, mut admin, mut text) = (None, None, String::new());
    while let (None, _) | (_, None) = (listener, admin) {
        let line_start = text.len();
        if log.read_line(&mut text)? == 0 {
            bail!("the host does not start: {text}");
        }
        let line = text.get(line_start..).unwrap_or_default();
        let address = line.split_once("address=").and_then(|(_, address)| address.trim().parse().ok());
        let place = if line.contains("admin listener") { &mut admin } else { &mut listener };
        *place = place.or(address);
    }
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    Ok((listener.context("no listener")?, admin.context("no admin listener")?))
}

fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// A process that ends with this.
#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It has nothing to finish. Nothing is left to do if this fails.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
