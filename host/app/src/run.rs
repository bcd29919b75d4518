//! `palisade run`: a host until it is told to end.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::beginning::Beginning;
use crate::hand_over::{Given, Origin};
use crate::last_good::LastGood;
use crate::{Host, logging, memory, open_files};

/// Where the copy of what was last good is, unless the operator or systemd has another place for it.
const STATE_FOLDER: &str = ".palisade";

/// How a host is run.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// The configuration.
    file: PathBuf,
    /// The folder for the copy of what was last good. By default the first one of systemd's STATE_DIRECTORY, or else
    /// `.palisade` beside the configuration.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Keeps no copy of what was last good, and starts with what is on disk or not at all.
    #[arg(long, conflicts_with = "state")]
    no_last_good: bool,
}

impl Run {
    /// Runs until SIGTERM or SIGINT, then drains. SIGHUP is a reload. SIGUSR2 has another process of the same file and with the
    /// same arguments take this one's place.
    ///
    /// # Errors
    /// The host does not start.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        memory::in_small_pages();
        open_files::make_room();
        let (origin, given) = (Arc::new(Origin::now().context("the program's own file")?), Given::take());
        let (last_good, problem) = match self.last_good() {
            Ok(last_good) => (last_good, None),
            Err(error) => (None, Some(error)),
        };
        let beginning = Beginning::read(&self.file, last_good)?;
        open_files::make_more_room(beginning.config());
        let _log = logging::start(&beginning.config().log)?;
        for warning in &beginning.config().warnings {
            tracing::warn!("{warning}");
        }
        if let Some(warning) = open_files::shortage(beginning.config()) {
            tracing::warn!("{warning}");
        }
        if let Some(error) = problem {
            tracing::warn!(
                "no copy of what was last good is kept, and a start with a bad configuration would fail: {error:#}"
            );
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
        runtime.block_on(async {
            let mut signals = Signals::new()?;
            let Given { sockets, ready } = given;
            let host = Host::begin(beginning, sockets).await?;
            ready.tell();
            signals.until_end(&host, &origin).await;
            origin.end();
            tracing::info!("draining");
            host.shut_down().await;
            Ok(())
        })
    }

    fn last_good(&self) -> anyhow::Result<Option<LastGood>> {
        if self.no_last_good {
            return Ok(None);
        }
        let folder = self.state.clone().or_else(systemd).unwrap_or_else(|| beside(&self.file));
        LastGood::below(&folder, &self.file).map(Some).with_context(|| format!("the folder {}", folder.display()))
    }
}

/// Several folders are separated by colons.
fn systemd() -> Option<PathBuf> {
    let folders = env::var_os("STATE_DIRECTORY")?;
    env::split_paths(&folders).next().filter(|folder| folder.is_absolute())
}

fn beside(file: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(STATE_FOLDER)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    replace: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let of = |kind| signal(kind).context("signals cannot be awaited");
        Ok(Self {
            terminate: of(SignalKind::terminate())?,
            interrupt: of(SignalKind::interrupt())?,
            hang_up: of(SignalKind::hangup())?,
            replace: of(SignalKind::user_defined2())?,
        })
    }

    /// Until SIGTERM or SIGINT, also in the middle of a reload, or until another process has taken this one's place.
    async fn until_end(&mut self, host: &Host, origin: &Arc<Origin>) {
        let Self { terminate, interrupt, hang_up, replace } = self;
        let reloads = async {
            while hang_up.recv().await.is_some() {
                // What comes of it is in the log. Signals that come meanwhile are one.
                let _ = host.reload().await;
            }
            std::future::pending::<()>().await;
        };
        let replaced = async {
            while replace.recv().await.is_some() {
                match host.hand_over(origin.clone()).await {
                    Ok(process) => return tracing::info!(process, "another process has taken over"),
                    Err(error) => tracing::error!("nobody takes over: {error:#}"),
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = reloads => {}
            () = replaced => {}
        }
    }
}
