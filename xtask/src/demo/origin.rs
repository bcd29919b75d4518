//! The demo's origins: `examples/quickstart` as a program.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::command;
use crate::demo::process::Process;
use crate::workspace::Workspace;

/// A running origin.
#[derive(Debug)]
pub(crate) struct Origin {
    name: &'static str,
    address: SocketAddr,
    /// Ends it with us.
    _process: Process,
}

impl Origin {
    /// Starts it on a port of its own choice, which it prints first.
    pub(crate) fn start(workspace: &Workspace, name: &'static str) -> Result<Self> {
        let mut command = Command::new(workspace.binary("origin"));
        command.args(["--name", name, "--port", "0"]).stdout(Stdio::piped());
        let mut process = Process::start(&format!("origin {name}"), &mut command)?;
        let output = process.child().stdout.take().context("the origin has an output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).context("the origin prints where it listens")?;
        let address = line.split_whitespace().last().and_then(|word| word.parse().ok());
        let address = address.with_context(|| format!("origin {name} did not say where it listens: {line:?}"))?;
        Ok(Self { name, address, _process: process })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests it has seen, by its own count.
    pub(crate) fn requests(&self) -> Result<u64> {
        let url = format!("http://{}/requests", self.address);
        let count = command::read(Command::new("curl").args(["-sSf", "--max-time", "5", &url]))?;
        count.trim().parse().with_context(|| format!("origin {} gave no count: {count:?}", self.name))
    }
}
