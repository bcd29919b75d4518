//! `cargo xtask bench …`: what a benchmark needs, then the benchmark.

mod budget;
mod callgrind;
pub(crate) mod instructions;
mod origin;

use anyhow::Result;

use crate::steps::Steps;
use crate::workspace::Workspace;
use crate::{python, tools};

/// Ends with the rows of `cargo bench --bench peers`, which is given the arguments.
pub(crate) fn peers(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let mut steps = Steps::new(3);
    steps.next("looking for nginx, HAProxy, wrk, h2load and Python");
    tools::ensure(&[tools::C_COMPILER, tools::NGINX, tools::HAPROXY, tools::WRK, tools::H2LOAD, tools::PYTHON])?;
    steps.next("looking for Envoy and Caddy");
    python::ensure(workspace, python::PEERS)?;
    steps.next("building and running the benchmark");
    let bench = ["bench", "--bench", "peers", "--"].into_iter().chain(arguments.iter().map(String::as_str));
    workspace.cargo(&bench.collect::<Vec<_>>())
}
