//! A module with one configuration's settings, grants and limits.

use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use palisade_config::{Capability, Isolation, PluginLimits};
use palisade_contract::{self as contract, Filter, Namespace, NamespaceFigures, OnError, Phase, WorkerServices};

use crate::Reason;
use crate::account::Account;
use crate::backoff::Backoff;
use crate::callouts::UnderWay;
use crate::filter::Slot;
use crate::instance::{Instance, StartError};
use crate::manifest::Manifest;
use crate::module::{Code, Module};
use crate::pool;
use crate::runtime::Engine;
use crate::source::{Configured, Source};
use crate::state::Identity;
use crate::stats::Stats;

/// A module with one configuration's settings, grants and limits, configured once to see that it takes them.
#[derive(Debug, Clone)]
pub struct Plugin {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) module: Module,
    pub(crate) identity: Arc<Identity>,
    pub(crate) config: palisade_config::Plugin,
    configured: Configured,
    source: Source,
    /// For instances that live for one exchange, where there is a pool for them.
    pooled: Option<Source>,
}

impl Plugin {
    /// Checks what the plugin asks for against what is granted, and configures a first instance with its settings.
    ///
    /// # Errors
    /// It asks for more, has no phase, refuses its settings, or fails while it starts or is configured.
    pub fn new(engine: &Engine, module: &Module, config: &palisade_config::Plugin) -> Result<Self, Reason> {
        Self::of_account(engine, module, config, &Account::default())
    }

    /// As [`Plugin::new`], with the account that an earlier version of the plugin has.
    ///
    /// # Errors
    /// Those of [`Plugin::new`].
    pub fn of_account(
        engine: &Engine,
        module: &Module,
        config: &palisade_config::Plugin,
        account: &Account,
    ) -> Result<Self, Reason> {
        let manifest = module.manifest();
        if let Some(capability) = manifest.asks.iter().find(|asked| !config.grants.contains(asked)) {
            return Err(Reason::NotGranted { plugin: config.name.clone(), capability: *capability });
        }
        if manifest.phases.iter().next().is_none() {
            return Err(Reason::NoPhase);
        }
        let wanted = manifest.memory_bytes_min.saturating_mul(engine.options.workers);
        if wanted > engine.budget.left() {
            let (left, max) = (engine.budget.left(), engine.budget.max());
            return Err(Reason::Budget { wanted, workers: engine.options.workers, left, max });
        }
        let configured = Configured {
            identity: identity(engine, config, account, shared(engine, module, config)),
            isolation: config.life.isolation,
            limits: config.limits,
            settings: config.settings.to_string(),
        };
        let source = Source::new(engine, module, &configured)?;
        if manifest.phases.has(Phase::Tick) && configured.identity.tick_interval.get().is_none() {
            return Err(Reason::NoInterval);
        }
        let pooled = pooled(engine, module, &configured);
        let (module, config, identity) = (module.clone(), config.clone(), configured.identity.clone());
        Ok(Self { inner: Arc::new(Inner { module, identity, config, configured, source, pooled }) })
    }

    /// The JSON Schema of a module's settings, as its author's code tells it within the default limits.
    ///
    /// # Errors
    /// It fails while it starts or tells.
    pub fn settings_schema(engine: &Engine, module: &Module) -> Result<String, Reason> {
        let plain = palisade_config::Plugin::new(&module.manifest().about.name, "");
        let identity = identity(engine, &plain, &Account::default(), None);
        Instance::settings_schema(&module.code(engine)?, &identity, PluginLimits::default()).map_err(Reason::from)
    }

    /// That what the functions of this code take and give is what the contract's do.
    ///
    /// # Errors
    /// One has another type.
    pub(crate) fn expect_types(engine: &Engine, code: &Code) -> Result<(), Reason> {
        let identity = identity(engine, &palisade_config::Plugin::new("", ""), &Account::default(), None);
        Instance::expect_types(code, &identity, PluginLimits::default()).map_err(Reason::from)
    }

    /// Whether it keeps failing and is left alone for a while, so that its policy holds for every exchange.
    #[must_use]
    pub fn is_backed_off(&self) -> bool {
        self.inner.identity.backoff.is_pausing(self.inner.identity.services.clock.now())
    }

    /// What its file says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.inner.module.manifest()
    }

    /// The file that it is made of, compiled.
    #[must_use]
    pub fn module(&self) -> &Module {
        &self.inner.module
    }

    /// Whether the other one is this very plugin, with the same instances.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// How the operator configured it.
    #[must_use]
    pub fn config(&self) -> &palisade_config::Plugin {
        &self.inner.config
    }

    /// What it costs and how often it fails.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.inner.identity.stats
    }

    /// How full the namespace is that it shares state in; none where it asks for none.
    #[must_use]
    pub fn shared(&self) -> Option<NamespaceFigures> {
        let identity = &self.inner.identity;
        identity.shared.as_ref().map(|namespace| namespace.figures(identity.services.clock.now()))
    }
}

/// The namespace that the configuration gives it, where it asks for one.
fn shared(engine: &Engine, module: &Module, config: &palisade_config::Plugin) -> Option<Arc<dyn Namespace>> {
    let asks = module.manifest().asks.contains(&Capability::Shared);
    asks.then(|| engine.services.shared.namespace(&config.shared.name, config.shared.bounds))
}

fn identity(
    engine: &Engine,
    config: &palisade_config::Plugin,
    account: &Account,
    shared: Option<Arc<dyn Namespace>>,
) -> Arc<Identity> {
    Arc::new(Identity {
        name: config.name.clone(),
        on_error: config.on_error,
        fetch: config.fetch.clone(),
        under_way: UnderWay::default(),
        module: config.module.clone(),
        services: engine.services.clone(),
        budget: engine.budget.clone(),
        backoff: Backoff::new(config.life.backoff, engine.services.clock.now()),
        stats: account.stats.clone(),
        series: account.series.clone(),
        shared,
        tick_interval: OnceLock::new(),
    })
}

/// The plugin once more in the pool, where exchanges are to have instances of their own; none where it does not fit there.
fn pooled(engine: &Engine, module: &Module, configured: &Configured) -> Option<Source> {
    if configured.isolation == Isolation::Shared || !pool::fits(&configured.limits) {
        return None;
    }
    let engine = engine.pooled()?;
    module
        .again(engine)
        .and_then(|module| Source::new(engine, &module, configured))
        .inspect_err(|reason| tracing::debug!(plugin = configured.identity.name, %reason, "does not fit into the pool"))
        .ok()
}

impl Inner {
    /// A fresh instance, configured, that may live for long.
    pub(crate) fn start(&self) -> Result<Instance, StartError> {
        self.source.start(&self.configured)
    }

    /// A fresh instance, configured, that lives for one exchange.
    pub(crate) fn start_for_exchange(&self) -> Result<Instance, StartError> {
        match self.pooled.as_ref().map(|pooled| pooled.start(&self.configured)) {
            Some(Err(StartError::PoolIsFull)) | None => self.start(),
            Some(started) => started,
        }
    }

    /// Whether it has phases that are no exchange's.
    pub(crate) fn serves_others(&self) -> bool {
        [Phase::Connection, Phase::Observe, Phase::Tick].into_iter().any(|phase| self.module.manifest.phases.has(phase))
    }

    pub(crate) fn on_error(&self) -> Option<OnError> {
        self.config.on_error
    }
}

impl contract::Plugin for Plugin {
    fn name(&self) -> &str {
        &self.inner.config.name
    }

    fn open(&self, worker: &WorkerServices) -> Rc<dyn Filter> {
        Rc::new(Slot::open(self.inner.clone(), worker))
    }
}

impl From<StartError> for Reason {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Failed(failure) => Self::Configure(failure),
            StartError::Refused(sentence) => Self::Refused(sentence),
            StartError::Type(message) => Self::Type(message),
            StartError::PoolIsFull => Self::Start("no slot of the pool is free".into()),
        }
    }
}
