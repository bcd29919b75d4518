//! `cargo xtask ci`: what a change must pass.

use anyhow::Result;

use crate::bench::instructions::{self, Then};
use crate::steps::Steps;
use crate::workspace::Workspace;
use crate::{command, test};

/// Stops at the first step that fails.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut steps = Steps::new(5);
    steps.next("checking the format");
    workspace.cargo(&["fmt", "--all", "--check"])?;
    steps.next("linting");
    workspace.cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    if command::exists("cargo-deny") {
        steps.next("checking licences, bans and sources");
        workspace.cargo(&["deny", "--offline", "check", "bans", "licenses", "sources"])?;
    } else {
        steps.next("licences, bans and sources are left unchecked: cargo-deny is not installed");
    }
    steps.next("testing");
    test::run(workspace, &[])?;
    steps.next("counting the instructions of a request");
    instructions::run(workspace, Then::Check)
}
