//! One core for the proxies, the others for everything that keeps them busy.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::Precedence;

/// The cores that this process was given, shared out.
#[derive(Debug)]
pub struct Cores {
    proxies: String,
    all: String,
}

/// Where a proxy may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// On the proxies' core alone.
    One,
    /// On every core: for what has several workers.
    All,
}

impl Cores {
    /// Leaves the first core to the proxies, and moves this process to the others.
    ///
    /// # Errors
    /// There is one core only, or no `taskset`.
    pub fn split() -> Result<Self> {
        let status = fs::read_to_string("/proc/self/status").context("this process cannot read its own status")?;
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or_default().trim();
        let Some((proxies, rest)) = shared_out(list) else {
            bail!("one core is for the proxy and another for its load, and this process may use {list:?} only");
        };
        let own = std::process::id().to_string();
        let moved = Command::new("taskset").args(["-a", "-p", "-c", &rest, &own]).stdout(Stdio::null()).status();
        ensure!(moved.context("cannot run taskset: it is in util-linux")?.success(), "taskset failed");
        Ok(Self { proxies, all: list.to_owned() })
    }

    /// A command that will run on this share of them.
    #[must_use]
    pub fn command(&self, share: Share, program: &Path) -> Command {
        let cores = match share {
            Share::One => &self.proxies,
            Share::All => &self.all,
        };
        let mut command = Command::new("taskset");
        command.args(["-c", cores]).arg(program);
        command
    }

    /// As [`Cores::command`], with a place in the order of those who want a core.
    #[must_use]
    pub fn command_of(&self, precedence: Precedence, share: Share, program: &Path) -> Command {
        let plain = self.command(share, program);
        let mut command = precedence.command(plain.get_program());
        command.args(plain.get_args());
        command
    }
}

/// The first of a list such as `0-3,8`, and the others.
fn shared_out(list: &str) -> Option<(String, String)> {
    let mut cores = Vec::new();
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        cores.extend(first.parse::<u32>().ok()?..=last.parse().ok()?);
    }
    let (first, rest) = cores.split_first()?;
    let rest: Vec<String> = rest.iter().map(u32::to_string).collect();
    (!rest.is_empty()).then(|| (first.to_string(), rest.join(",")))
}
