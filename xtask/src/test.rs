//! `cargo xtask test`: everything that the tests need, then the tests.

use anyhow::Result;

use crate::steps::Steps;
use crate::workspace::Workspace;
use crate::{plugins, python, tools};

/// Ends with the lines of `cargo test --workspace`, which is given the arguments.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let mut steps = Steps::new(5);
    steps.next(
        "looking for a C compiler, Chromium, curl, h2load, wrk, OpenSSL, testssl.sh, Pebble, slowhttptest, dnsmasq, MariaDB with Galera, rsync, Python and the WebAssembly targets",
    );
    tools::ensure(&[
        tools::C_COMPILER,
        tools::CHROMIUM,
        tools::CURL,
        tools::H2LOAD,
        tools::WRK,
        tools::OPENSSL,
        tools::TESTSSL,
        tools::PEBBLE,
        tools::SLOWHTTPTEST,
        tools::DNSMASQ,
        tools::MARIADB,
        tools::RSYNC,
        tools::PYTHON,
    ])?;
    plugins::ensure_targets()?;
    steps.next("looking for the Python packages of the tests");
    python::ensure(workspace, python::TESTS)?;
    steps.next("building the plugins");
    plugins::build(workspace)?;
    steps.next("building the tests' guests");
    plugins::build_guests(workspace)?;
    // One build of everything, the host's program included: another selection of packages would build wasmtime again.
    steps.next("building and running the tests");
    let test = ["test", "--workspace"].into_iter().chain(arguments.iter().map(String::as_str));
    workspace.cargo(&test.collect::<Vec<_>>())
}
