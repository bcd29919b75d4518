//! Python packages that tests and benchmarks use, each list in an environment of its own.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;
use crate::workspace::Workspace;

/// What is installed, and where below `target`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Environment {
    requirements: &'static str,
    folder: &'static str,
}

pub(crate) const TESTS: Environment = Environment { requirements: "tests/python/requirements.txt", folder: "python" };
/// The proxies that benchmarks measure beside ours, as PyPI ships their programs.
pub(crate) const PEERS: Environment =
    Environment { requirements: "benches/peers/requirements.txt", folder: "peers-python" };

/// Installs what the environment requires, unless that is there already.
pub(crate) fn ensure(workspace: &Workspace, environment: Environment) -> Result<()> {
    let requirements = workspace.root().join(environment.requirements);
    let wanted =
        fs::read_to_string(&requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    let folder = workspace.artifacts().join(environment.folder);
    // Written last: without it the environment is not whole.
    let installed = folder.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    command::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut install = Command::new(folder.join("bin/python"));
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]);
    command::run(install.args(["--require-hashes", "--requirement"]).arg(&requirements))?;
    fs::write(&installed, wanted).with_context(|| format!("cannot write {}", installed.display()))
}
