//! Programs that are not Rust's: looked for first, installed where that is ours to do, asked for otherwise.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::command;

/// A program and how Debian calls the package that has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    program: &'static str,
    package: &'static str,
}

pub(crate) const C_COMPILER: Tool = Tool { program: "cc", package: "gcc libc6-dev" };
pub(crate) const CHROMIUM: Tool = Tool { program: "chromium", package: "chromium" };
pub(crate) const CURL: Tool = Tool { program: "curl", package: "curl" };
pub(crate) const HAPROXY: Tool = Tool { program: "haproxy", package: "haproxy" };
pub(crate) const NGINX: Tool = Tool { program: "nginx", package: "nginx" };
/// A name server.
pub(crate) const DNSMASQ: Tool = Tool { program: "dnsmasq", package: "dnsmasq-base" };
/// The nodes of a Galera cluster, and what one takes its data from another with.
pub(crate) const MARIADB: Tool = Tool { program: "mariadbd", package: "mariadb-server mariadb-client galera-4" };
pub(crate) const RSYNC: Tool = Tool { program: "rsync", package: "rsync" };
pub(crate) const H2LOAD: Tool = Tool { program: "h2load", package: "nghttp2-client" };
pub(crate) const OPENSSL: Tool = Tool { program: "openssl", package: "openssl" };
/// A real ACME server.
pub(crate) const PEBBLE: Tool = Tool { program: "pebble", package: "pebble" };
/// Slow clients, of every kind and as many as are wanted.
pub(crate) const SLOWHTTPTEST: Tool = Tool { program: "slowhttptest", package: "slowhttptest" };
/// A scanner of TLS, with what it reads its tables with.
pub(crate) const TESTSSL: Tool = Tool { program: "testssl", package: "testssl.sh bsdmainutils" };
/// With what makes environments of it, which Debian has apart.
pub(crate) const PYTHON: Tool = Tool { program: "python3", package: "python3 python3-venv" };
/// With callgrind, which counts instructions.
pub(crate) const VALGRIND: Tool = Tool { program: "valgrind", package: "valgrind" };
pub(crate) const WRK: Tool = Tool { program: "wrk", package: "wrk" };

/// Makes sure that these are there.
///
/// # Errors
/// A sentence naming what is missing and the command that installs it, unless we are root on a system with apt.
pub(crate) fn ensure(tools: &[Tool]) -> Result<()> {
    let missing: Vec<Tool> = tools.iter().copied().filter(|tool| !command::exists(tool.program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !is_root() || !command::exists("apt-get") {
        bail!(sentence(&missing));
    }
    println!("installing {}", packages(&missing));
    command::run(apt().args(["update", "-q"]))?;
    command::run(apt().args(["install", "-q", "-y", "--no-install-recommends"]).args(packages(&missing).split(' ')))
}

/// Makes sure that a file of a package that has no program is there.
///
/// # Errors
/// As [`ensure`].
pub(crate) fn ensure_file(file: &Path, package: &'static str) -> Result<()> {
    if file.exists() {
        return Ok(());
    }
    // No program is called so: the package is installed, or asked for.
    ensure(&[Tool { program: package, package }])
}

fn sentence(missing: &[Tool]) -> String {
    let programs = missing.iter().map(|tool| tool.program).collect::<Vec<_>>().join(", ");
    let are = if missing.len() == 1 { "is" } else { "are" };
    let packages = packages(missing);
    format!(
        "{programs} {are} not installed: on Debian or Ubuntu run `sudo apt-get install {packages}`, then this again"
    )
}

fn packages(tools: &[Tool]) -> String {
    tools.iter().map(|tool| tool.package).collect::<Vec<_>>().join(" ")
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn is_root() -> bool {
    command::read(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_the_command_that_installs_it() {
        check(&[CURL], "curl is not installed: on Debian or Ubuntu run `sudo apt-get install curl`, then this again");
        check(
            &[C_COMPILER, H2LOAD],
            "cc, h2load are not installed: on Debian or Ubuntu run `sudo apt-get install gcc libc6-dev \
             nghttp2-client`, then this again",
        );
    }

    fn check(missing: &[Tool], expected: &str) {
        assert_eq!(sentence(missing), expected);
    }
}
