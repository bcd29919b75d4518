//! The host at work: plugins, proxy, admin listener, and what has to be done from time to time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use palisade_config::{Action, Config};
use palisade_contract::{Clock, Names, SharedStore, SystemClock};
use palisade_engine::{MemoryStore, Services};
use palisade_monitor::{AccessLog, Registry};
use palisade_proxy::{Bound, Parts, Running, StartError};
use tokio::task::JoinHandle;

use crate::admin::{Admin, AdminError};
use crate::plugins::Plugins;

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
    admin: Option<Admin>,
}

/// What the admin listener tells about.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) proxy: Running,
    pub(crate) plugins: Plugins,
    pub(crate) registry: Arc<Registry>,
    /// What plugins share: of the process, not of one generation of them.
    pub(crate) shared: Arc<dyn SharedStore>,
    pub(crate) draining: AtomicBool,
}

impl Host {
    /// Loads the plugins, binds every address, starts the workers, and returns when all of them accept.
    ///
    /// A plugin that does not load is logged and stands as its `on_error` says; the others run.
    ///
    /// # Errors
    /// See [`HostError`]; nothing is left running then.
    pub async fn start(config: Config) -> Result<Self, HostError> {
        let names = Arc::new(Names::default());
        let access = if config.log.access { AccessLog::On(names.clone()) } else { AccessLog::Off };
        let registry = Registry::new(env!("CARGO_PKG_VERSION"), SystemClock.wall(), access);
        let shared: Arc<dyn SharedStore> = Arc::new(MemoryStore::default());
        let services = Services {
            clock: Arc::new(SystemClock),
            names: names.clone(),
            metrics: registry.clone(),
            shared: shared.clone(),
        };
        let (plugins, config) = load(config, services).await?;
        for problem in plugins.problems(&config) {
            tracing::error!("{problem}");
        }
        // Every address is bound before anything runs.
        let admin = config.admin.map(|admin| Admin::bind(admin.bind)).transpose()?;
        let parts = Parts { plugins: plugins.for_chains(), monitor: registry.clone(), names };
        let proxy = Bound::new(&config, parts)?.run().await?;
        announce(&config, &proxy);
        let state = Arc::new(State { proxy, plugins, registry, shared, draining: AtomicBool::new(false) });
        let admin = admin.map(|admin| admin.serve(state.clone())).transpose()?;
        if let Some(admin) = &admin {
            tracing::info!(address = %admin.address(), "the admin listener is up");
        }
        Ok(Self { upkeep: tokio::spawn(upkeep(state.clone())), state, admin })
    }

    /// Each listener's name with each address that it listens on.
    #[must_use]
    pub fn addresses(&self) -> Vec<(String, SocketAddr)> {
        self.state.proxy.addresses()
    }

    /// Where the admin listener is, if there is one.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(Admin::address)
    }

    /// Drains: is no longer ready, stops accepting, finishes what is under way within the configured time.
    pub async fn shut_down(self) {
        self.state.draining.store(true, Ordering::Relaxed);
        self.state.proxy.shut_down().await;
        self.upkeep.abort();
        if let Some(admin) = self.admin {
            admin.stop();
        }
    }
}

/// Compiles off the runtime's thread.
async fn load(config: Config, services: Services) -> Result<(Plugins, Config), HostError> {
    let loading =
        tokio::task::spawn_blocking(move || Plugins::load(&config, services).map(|plugins| (plugins, config)));
    match loading.await {
        Ok(loaded) => loaded.map_err(HostError::Plugins),
        Err(error) => Err(HostError::Plugins(anyhow::Error::new(error))),
    }
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
    loop {
        interval.tick().await;
        state.registry.upkeep();
    }
}
