//! The engine and the plugins, as the host would have them.

use std::cell::RefCell;
use std::fs;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use benches::Artifacts;
use palisade_config::{Capability, Life, PluginLimits};
use palisade_contract::{Clock, Filter, Names, Plugin as _, WorkerServices};
use palisade_engine::{Engine, Module, Options, Plugin, Services};
use palisade_monitor::{AccessLog, Registry};
use palisade_proxy::TurnClock;
use serde_json::Value;

/// An engine with the host's own services, and every plugin that was configured on it.
pub(crate) struct World {
    artifacts: Artifacts,
    engine: Engine,
    registry: Arc<Registry>,
    plugins: RefCell<Vec<Plugin>>,
}

impl World {
    /// Where plugins run directly if they can, or all of them as components.
    pub(crate) fn new(artifacts: Artifacts, components_alone: bool) -> Result<Self> {
        let (names, clock) = (Arc::new(Names::default()), Arc::new(TurnClock));
        let registry = Registry::new("benches", clock.wall(), AccessLog::Off);
        // The names of the traffic's listener, route, upstream and endpoints are these numbers.
        for number in 1..=30 {
            let _ = names.intern(&format!("name-{number}"));
        }
        let services = Services { clock, names, metrics: registry.clone(), ..Services::default() };
        let cache = Some(artifacts.scratch().join("cache"));
        let options = Options { cache, components_alone, ..Options::default() };
        let engine = Engine::new(&options, services)?;
        Ok(Self { artifacts, engine, registry, plugins: RefCell::default() })
    }

    /// A plugin with these settings.
    pub(crate) fn plugin(&self, module: &str, settings: Value) -> Result<Plugin> {
        let limits = PluginLimits { memory_bytes: 256 << 20, ..PluginLimits::default() };
        self.plugin_with(module, settings, Life::default(), limits)
    }

    /// As [`World::plugin`], with its instances' life and limits.
    pub(crate) fn plugin_with(
        &self,
        module: &str,
        settings: Value,
        life: Life,
        limits: PluginLimits,
    ) -> Result<Plugin> {
        let file = self.artifacts.plugin(module);
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let name = format!("{module}-{}", self.plugins.borrow().len());
        let plain = palisade_config::Plugin::new(&name, module);
        let config = palisade_config::Plugin { grants: Capability::ALL.to_vec(), settings, life, limits, ..plain };
        let plugin = Plugin::new(&self.engine, &Module::new(&self.engine, &bytes)?, &config)?;
        self.plugins.borrow_mut().push(plugin.clone());
        Ok(plugin)
    }

    /// As [`World::plugin`], opened on this thread.
    pub(crate) fn filter(&self, module: &str, settings: Value) -> Result<Rc<dyn Filter>> {
        Ok(self.plugin(module, settings)?.open(&WorkerServices::default()))
    }

    /// What the host does every few seconds.
    pub(crate) fn upkeep(&self) {
        self.registry.upkeep();
    }

    /// That nothing failed: a failing call may well be a fast one.
    ///
    /// # Errors
    /// Something did.
    pub(crate) fn check(&self) -> Result<()> {
        for plugin in self.plugins.borrow().iter() {
            let error = plugin.stats().last_error();
            ensure!(error.is_none(), "{} failed: {}", plugin.config().name, error.unwrap_or_default());
        }
        Ok(())
    }
}
