//! The demo's host: started, and waited for.

use std::fs::{self, File};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::command;
use crate::demo::folder::Folder;
use crate::demo::ports::Ports;
use crate::demo::process::{Process, Stop};
use crate::workspace::Workspace;

const READY_SECONDS: u64 = 60;

/// Starts the host and waits until `/readyz` says yes.
///
/// # Errors
/// The end of its log, if it ends before that.
pub(crate) fn start(workspace: &Workspace, folder: &Folder, ports: &Ports, stop: &Stop) -> Result<Process> {
    command::run(Command::new(workspace.binary("palisade")).arg("check").arg(folder.config()))?;
    let log = File::create(folder.log()).with_context(|| format!("cannot write {}", folder.log().display()))?;
    let mut command = Command::new(workspace.binary("palisade"));
    command.arg("run").arg(folder.config()).stdout(log.try_clone()?).stderr(log);
    let mut host = Process::start("the host", &mut command)?;
    wait(&mut host, ports, stop).with_context(|| format!("the host's log ends so:\n{}", tail(folder)))?;
    Ok(host)
}

fn wait(host: &mut Process, ports: &Ports, stop: &Stop) -> Result<()> {
    let url = format!("http://127.0.0.1:{}/readyz", ports.admin);
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(READY_SECONDS) {
        host.check()?;
        if stop.requested() {
            bail!("stopped before the host was ready");
        }
        if Command::new("curl").args(["-sf", "--max-time", "2", "-o", "/dev/null", &url]).status()?.success() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(50));
    }
    bail!("the host was not ready within {READY_SECONDS} s")
}

fn tail(folder: &Folder) -> String {
    let log = fs::read_to_string(folder.log()).unwrap_or_default();
    let skipped = log.lines().count().saturating_sub(20);
    log.lines().skip(skipped).collect::<Vec<_>>().join("\n")
}
