//! The command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Parser;
use palisade_config::{Config, ReadError};

use crate::plugin_command::PluginCommand;
use crate::{Host, certificate, logging, plugins};

/// One small binary that runs sandboxed plugins on every request.
#[derive(Debug, Parser)]
#[command(version, about)]
pub enum Command {
    /// Runs the host until SIGTERM or Ctrl-C, then drains.
    Run {
        /// The configuration.
        file: PathBuf,
    },
    /// Checks a configuration for real: loads its plugins, runs their configure, reads its certificates. Binds nothing.
    Check {
        /// The configuration.
        file: PathBuf,
    },
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
            Self::Run { file } => run(&file)?,
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

fn run(file: &Path) -> anyhow::Result<()> {
    let config = read(file)?;
    let _log = logging::start(&config.log)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(async {
        let mut end = end_signals()?;
        let host = Host::start(config).await?;
        end.recv().await;
        tracing::info!("draining");
        host.shut_down().await;
        Ok(())
    })
}

/// SIGTERM or SIGINT, whichever comes first.
fn end_signals() -> anyhow::Result<tokio::sync::mpsc::Receiver<()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (send, receive) = tokio::sync::mpsc::channel(1);
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let (mut signals, send) = (signal(kind).context("signals cannot be awaited")?, send.clone());
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                let _ = send.try_send(());
            }
        });
    }
    Ok(receive)
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
