//! Python packages that tests use, in an environment of their own.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;
use crate::workspace::Workspace;

/// Installs `tests/python/requirements.txt` into `target/python`, unless that is there already.
pub(crate) fn ensure(workspace: &Workspace) -> Result<()> {
    let requirements = workspace.root().join("tests/python/requirements.txt");
    let wanted =
        fs::read_to_string(&requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    let folder = workspace.artifacts().join("python");
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
