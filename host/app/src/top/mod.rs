//! `palisade top`: what each plugin costs, in the terminal, as it is now.

mod figures;
mod table;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use http::{Method, StatusCode};
use palisade_contract::{Clock, SystemClock};

use crate::admin_client::{AdminClient, Place};
use figures::{Figures, Moment};

/// What is shown of which host.
#[derive(Debug, clap::Args)]
pub struct Top {
    #[command(flatten)]
    place: Place,
    /// Prints one table and ends.
    #[arg(long)]
    once: bool,
    /// Seconds between two looks, which the rates are of.
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    interval: u64,
}

/// Home, and from there on nothing: no line of the table before is left.
const CLEAR: &str = "\x1b[H\x1b[J";

impl Top {
    /// Shows a table, and another one as time goes on, until the reader or the host leaves.
    ///
    /// # Errors
    /// There is no host to ask.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let host = self.place.find()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
        runtime.block_on(async {
            let interval = Duration::from_secs(self.interval);
            let mut before = look(host).await?;
            // Rates need two looks.
            tokio::time::sleep(if self.once { Duration::from_secs(1) } else { interval }).await;
            loop {
                let now = look(host).await?;
                let table = table::render(&before, &now);
                let begin = if self.once { "" } else { CLEAR };
                let mut out = io::stdout().lock();
                let written = write!(out, "{begin}{table}").and_then(|()| out.flush());
                // Nobody reads any more.
                if self.once || written.is_err() {
                    return Ok(ExitCode::SUCCESS);
                }
                drop(out);
                before = now;
                tokio::time::sleep(interval).await;
            }
        })
    }
}

async fn look(host: AdminClient) -> anyhow::Result<Moment> {
    let (status, answer) = host.ask(Method::GET, "/plugins").await?;
    if status != StatusCode::OK {
        bail!("{} answers {status}", host.address());
    }
    let figures: Figures = serde_json::from_slice(&answer).context("the answer is not that of a host")?;
    Ok(Moment { figures, at: SystemClock.now() })
}
