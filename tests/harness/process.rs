//! Programs: the host's own, and those of real clients.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::{Folder, LIMIT, artifacts, eventually};

/// The host's program at work. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// None where a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
}

impl Process {
    /// Starts it with the folder's `palisade.toml`, and waits until it is ready.
    pub(crate) async fn start(folder: &Folder) -> (Self, Vec<(String, SocketAddr)>, SocketAddr) {
        let log = folder.path().join("palisade.log");
        let file = fs::File::create(&log).expect("a log");
        let mut command = Command::new(artifacts::program());
        command.arg("run").arg(folder.path().join("palisade.toml"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).kill_on_drop(true).spawn();
        let mut process = Self { child: child.expect("a host that can be started"), log };
        let mut addresses = Vec::new();
        let mut admin = None;
        eventually("the host is up", async || {
            let ended = process.child.try_wait().expect("a child");
            assert!(ended.is_none(), "the host ended with {ended:?}: {}", process.log());
            (addresses, admin) = announced(&process.log());
            admin.is_some()
        })
        .await;
        process.forget_peak();
        (process, addresses, admin.expect("an admin listener"))
    }

    /// From now on counts what it has in memory at most: what starting took, compilers above all, is not what work takes.
    fn forget_peak(&self) {
        // See proc_pid_clear_refs(5).
        fs::write(format!("/proc/{}/clear_refs", self.id()), "5").expect("a peak that can be forgotten");
    }

    /// Its number.
    ///
    /// # Panics
    /// It has ended.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id().expect("a host that runs")
    }

    /// Everything that it has logged, one JSON object a line.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends it a signal, such as `TERM`.
    ///
    /// # Panics
    /// It has ended.
    pub fn signal(&self, name: &str) {
        signal(self.id(), name);
    }

    /// Its resident memory, in bytes, now and at most since it was ready.
    ///
    /// # Panics
    /// It has ended.
    #[must_use]
    pub fn resident_bytes(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("a host that runs");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a field");
            line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1_024
        };
        (field("VmRSS:"), field("VmHWM:"))
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// It does not end within [`LIMIT`].
    pub async fn wait(&mut self) -> Ended {
        let status = tokio::time::timeout(LIMIT, self.child.wait()).await.expect("a host that ends");
        let code = status.expect("a child").code();
        Ended { code, stdout: String::new(), stderr: self.log() }
    }
}

/// Sends a process of this number a signal, such as `TERM`.
///
/// # Panics
/// There is none.
pub fn signal(id: u32, name: &str) {
    let status = std::process::Command::new("kill").arg(format!("-{name}")).arg(id.to_string()).status();
    assert!(status.is_ok_and(|status| status.success()), "no signal {name} for {id}");
}

/// The listeners, and the admin listener once everything is up.
fn announced(log: &str) -> (Vec<(String, SocketAddr)>, Option<SocketAddr>) {
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let said = |message: &'static str| lines.iter().filter(move |line| line["message"] == message);
    let address = |line: &Value| line["address"].as_str().and_then(|address| address.parse().ok());
    let listeners = said("listening");
    let listeners = listeners.filter_map(|line| Some((line["listener"].as_str()?.to_owned(), address(line)?)));
    (listeners.collect(), said("the admin listener is up").find_map(address))
}

/// Starts a program with these words, and goes on: what comes of it, as of [`run_command`].
#[must_use]
pub fn start_command(program: &'static str, words: String, folder: &Path) -> JoinHandle<Ended> {
    let folder = folder.to_owned();
    tokio::spawn(async move {
        let words: Vec<&str> = words.split(' ').collect();
        run_command(program, &words, &folder).await
    })
}

/// Runs a program to its end. `palisade` is the host's own.
///
/// # Panics
/// It cannot be run.
pub async fn run_command(program: &str, arguments: &[&str], folder: &Path) -> Ended {
    let path = if program == "palisade" { artifacts::program() } else { program.into() };
    let mut command = Command::new(path);
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("{program} does not end"));
    let output = output.unwrap_or_else(|error| panic!("{program} cannot be run: {error}; run `cargo xtask test`"));
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
