//! The host at work: plugins, proxy, admin listener, reloads, and what has to be done from time to time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use palisade_config::{Action, Config};
use palisade_contract::{Clock, Names, SharedStore, SystemClock};
use palisade_engine::{MemoryStore, Services};
use palisade_monitor::{AccessLog, Registry, Reload};
use palisade_proxy::{Bound, Inherited, Running, StartError, TurnClock};
use tokio::task::JoinHandle;

use crate::acme;
use crate::admin::{Admin, AdminError};
use crate::beginning::{Beginning, First};
use crate::expiry::Warned;
use crate::generation::Generation;
use crate::hand_over::Origin;
use crate::last_good::{Keeper, Keeping, LastGood};
use crate::loader::Loader;
use crate::plugins::Since;
use crate::reload::{Fixed, Outcome, Reloader, Requests};
use crate::state::{Last, State};
use crate::turns;
use crate::watch::Watch;

/// Histograms keep every value until this was done: often enough that they stay small.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Why the host did not start.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// There can be no plugins here.
    #[error("{0:#}")]
    Plugins(anyhow::Error),
    /// The proxy did not start.
    #[error(transparent)]
    Proxy(#[from] StartError),
    /// The admin listener did not start.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

/// A host at work.
#[derive(Debug)]
pub struct Host {
    state: Arc<State>,
    upkeep: JoinHandle<()>,
    ordering: JoinHandle<()>,
    reloader: JoinHandle<()>,
    keeping: Keeping,
}

impl Host {
    /// Loads the plugins, binds every address, starts the workers, and returns when all of them accept. From then on the
    /// configuration's file, its plugins and its certificates are watched, and taken over as they change.
    ///
    /// A plugin that does not load is logged and stands as its `on_error` says; the others run.
    ///
    /// # Errors
    /// See [`HostError`]; nothing is left running then.
    pub async fn start(config: Config) -> Result<Self, HostError> {
        Self::begin(Beginning::of(config), Inherited::default()).await
    }

    /// The same with what a beginning has found, and with sockets that are listened on already.
    pub(crate) async fn begin(beginning: Beginning, mut inherited: Inherited) -> Result<Self, HostError> {
        let names = Arc::new(Names::default());
        let logs_access = Arc::new(AtomicBool::new(beginning.config().log.access));
        let access = AccessLog::Switched(names.clone(), logs_access.clone());
        let registry = Registry::new(env!("CARGO_PKG_VERSION"), SystemClock.wall(), access);
        // Of the process, not of one generation of plugins.
        let shared: Arc<dyn SharedStore> = Arc::new(MemoryStore::default());
        let services = Services {
            clock: Arc::new(TurnClock),
            names: names.clone(),
            metrics: registry.clone(),
            shared: shared.clone(),
        };
        let loader = Arc::new(Loader::new(services, registry.clone()));
        let (first, watch, last_good) = load(beginning, loader.clone()).await?;
        for problem in &first.problems {
            tracing::error!("{problem}");
        }
        let config = first.written.config.clone();
        // Every address is bound before anything runs.
        let admin = config.admin.map(|admin| Admin::bind_or_take(admin.bind, &mut inherited)).transpose()?;
        let proxy = Bound::new(&config, loader.parts(&first.plugins), &mut inherited)?.run(turns::of(&config)).await?;
        for (listener, address) in inherited.left() {
            tracing::warn!(listener, %address, "a socket that was handed over is for no listener, and is closed");
        }
        announce(&config, &proxy);
        let (requests, asked) = Requests::new();
        let (first, last) = served(first);
        registry.serves(first.number, last.at);
        registry.problems(last.outcome.problems.len());
        registry.reloaded(None);
        let state = Arc::new(State::new((proxy, registry, shared, names), requests, logs_access, (first, last)));
        if let Some(admin) = admin {
            let admin = admin.serve(state.clone())?;
            tracing::info!(address = %admin.address(), "the admin listener is up");
            state.set_admin(Some(admin));
        }
        let (keeper, keeping) = Keeper::start(last_good);
        let fixed = Fixed::of(&config);
        let reloader = Reloader { state: state.clone(), loader, watch, asked, fixed, keeper };
        let ordering = tokio::spawn(acme::run(state.clone()));
        Ok(Self {
            ordering,
            upkeep: tokio::spawn(upkeep(state.clone())),
            reloader: tokio::spawn(reloader.run()),
            keeping,
            state,
        })
    }

    /// Each listener's name with each address that it listens on.
    #[must_use]
    pub fn addresses(&self) -> Vec<(String, SocketAddr)> {
        self.state.proxy.addresses()
    }

    /// Where the admin listener is, if there is one.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.state.admin_address()
    }

    /// Has everything looked at that is on disk now, takes over what is good, and waits for that. None where the host is
    /// draining.
    pub async fn reload(&self) -> Option<Outcome> {
        self.state.reloads.reload().await
    }

    /// Has another process take this one's place, and returns when it is up: from then on it accepts, and this one is to be shut
    /// down.
    ///
    /// # Errors
    /// It was not up; nothing has changed then.
    pub(crate) async fn hand_over(&self, origin: Arc<Origin>) -> anyhow::Result<u32> {
        let mut sockets = self.state.proxy.sockets().await;
        sockets.extend(self.state.lend_admin());
        let process = tokio::task::spawn_blocking(move || origin.hand_over(sockets)).await?;
        match process {
            Ok(_) => self.state.proxy.handed_over(),
            Err(_) => self.state.proxy.take_back(),
        }
        process
    }

    /// Drains: is no longer ready, stops accepting, finishes what is under way within the configured time.
    pub async fn shut_down(self) {
        self.state.draining.store(true, Ordering::Relaxed);
        self.ordering.abort();
        self.reloader.abort();
        let _ = self.reloader.await;
        self.state.proxy.shut_down().await;
        self.keeping.end().await;
        self.upkeep.abort();
        self.state.set_admin(None);
    }
}

/// Compiles off the runtime's thread.
async fn load(beginning: Beginning, loader: Arc<Loader>) -> Result<(First, Watch, Option<LastGood>), HostError> {
    match tokio::task::spawn_blocking(move || beginning.load(&loader)).await {
        Ok(loaded) => loaded.map_err(HostError::Plugins),
        Err(error) => Err(HostError::Plugins(anyhow::Error::new(error))),
    }
}

/// The first generation, and what is to be told of how it came to be.
fn served(first: First) -> (Generation, Last) {
    let (number, at) = (1, SystemClock.wall());
    let First { written, mut plugins, problems } = first;
    plugins.taken_over(Since { generation: number, at });
    let result = if problems.is_empty() { Reload::Complete } else { Reload::Partial };
    let outcome = Outcome { problems, ..Outcome::new(result, number) };
    (Generation { number, written, plugins }, Last { outcome, at })
}

fn announce(config: &Config, proxy: &Running) {
    for (listener, address) in proxy.addresses() {
        tracing::info!(listener, %address, "listening");
    }
    let redirects =
        config.listeners.iter().filter(|listener| matches!(listener.action, Action::RedirectToHttps { .. }));
    tracing::info!(workers = proxy.workers(), redirecting_listeners = redirects.count(), "ready");
}

async fn upkeep(state: Arc<State>) {
    let mut interval = tokio::time::interval(UPKEEP_INTERVAL);
    let (mut generation, mut warned) = (0, Warned::default());
    loop {
        interval.tick().await;
        state.registry.upkeep();
        warned.look(&state);
        // Workers let go of what was served before some time after it was replaced.
        if std::mem::replace(&mut generation, state.proxy.generation()) != generation {
            crate::memory::give_back();
        }
    }
}
