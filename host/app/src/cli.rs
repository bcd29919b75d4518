//! The command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::Parser;
use palisade_config::{Config, ReadError};

use crate::admin_client::Place;
use crate::endpoints::Endpoints;
use crate::explain::Explain;
use crate::plugin_command::PluginCommand;
use crate::run::Run;
use crate::top::Top;
use crate::{certificate, plugins, reload};

/// One small binary that runs sandboxed plugins on every request.
#[derive(Debug, Parser)]
#[command(version, about)]
pub enum Command {
    /// Runs the host until SIGTERM or Ctrl-C, then drains. SIGHUP is a reload, and so is a change of the files that the
    /// configuration is made of.
    Run(Run),
    /// Checks a configuration for real: loads its plugins, runs their configure, reads its certificates. Binds nothing.
    Check {
        /// The configuration.
        file: PathBuf,
    },
    /// Has a running host look at its configuration and its plugins, waits, and says what came of it.
    Reload(Place),
    /// Shows what each plugin of a running host costs, and goes on showing it.
    Top(Top),
    /// Shows how each endpoint of a running host is, why, and what came of its requests in the last minute.
    Endpoints(Endpoints),
    /// Sends one request to a running host, and tells what it met: which plugins ran in which order, what each decided, changed
    /// and took, and which endpoint was picked from what. The host's certificate is not verified.
    Explain(Explain),
    /// Looks at plugin files, and signs them.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Makes a development authority and a certificate signed by it. Not for production.
    Certificate {
        /// A host name or IP address that the certificate is for. The first one names its files.
        #[arg(long = "name", required = true)]
        names: Vec<String>,
        /// The folder for `ca.pem`, `ca.key`, `NAME.pem` and `NAME.key`. An authority that is there is used again.
        #[arg(long)]
        out: PathBuf,
    },
}

impl Command {
    /// Carries the command out, and says how the process is to end.
    ///
    /// # Errors
    /// Everything that was found wrong, in lines for the operator.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Run(run) => run.run()?,
            Self::Top(top) => return top.run(),
            Self::Endpoints(endpoints) => return endpoints.run(),
            Self::Explain(explain) => return explain.run(),
            Self::Reload(place) => return reload::command(&place),
            Self::Check { file } => check(&file)?,
            Self::Plugin(command) => return command.run(),
            Self::Certificate { names, out } => {
                let files = certificate::make(&names, &out)?;
                println!("{}\n{}\n{}", files.authority.display(), files.chain.display(), files.key.display());
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn check(file: &Path) -> anyhow::Result<()> {
    let config = read(file)?;
    for warning in &config.warnings {
        eprintln!("warning: {warning}");
    }
    let problems = plugins::check(&config)?;
    if problems.is_empty() {
        println!("{}: ok", file.display());
        return Ok(());
    }
    let count = problems.len();
    let plural = if count == 1 { "problem" } else { "problems" };
    bail!("{}\n{count} {plural} in {}", problems.join("\n"), file.display())
}

fn read(file: &Path) -> anyhow::Result<Config> {
    Config::read(file).map_err(|error| match error {
        // Every problem, as it is: each already says where it is.
        ReadError::Problems(problems) => anyhow::anyhow!("{problems}"),
        other => anyhow::Error::new(other),
    })
}
