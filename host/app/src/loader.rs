//! Makes plugins of a configuration and its folder, with the one engine that this process has.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use palisade_config::Config;
use palisade_engine::{Engine, Folder, Options, Services};
use palisade_monitor::Registry;
use palisade_proxy::{Bound, Parts, Running, StartError};

use crate::plugins::Plugins;

/// Makes plugins, and everything else that a configuration becomes without being served.
#[derive(Debug)]
pub(crate) struct Loader {
    services: Services,
    registry: Arc<Registry>,
    /// Made for the first configuration that has plugins, and kept: what one engine has compiled, another one cannot run.
    engine: Mutex<Option<Engine>>,
}

impl Loader {
    /// With what plugins are given.
    pub(crate) fn new(services: Services, registry: Arc<Registry>) -> Self {
        Self { services, registry, engine: Mutex::default() }
    }

    /// Loads every plugin file and configures every plugin, from the configuration's folder or from another one in its
    /// place. What is wrong with one of them is in the result. Takes its time: never on a worker.
    ///
    /// # Errors
    /// There can be no engine here, or the folder cannot be read.
    pub(crate) fn load(&self, config: &Config, before: &Plugins, from: From<'_>) -> anyhow::Result<Plugins> {
        let Some(own) = &config.plugins_dir else { return Ok(before.none()) };
        let folder = from.folder.unwrap_or(own);
        let engine = self.engine(config, own)?;
        let counts = engine.cache_counts();
        let folder = Folder { path: folder, trusted: &config.trusted_keys, unfinished: from.unfinished };
        let library = before.library.next(&engine, &folder, &config.plugins);
        let library =
            library.with_context(|| format!("cannot read the folder of plugins, {}", folder.path.display()))?;
        let (found, compiled) = engine.cache_counts();
        let (files, from_cache, compiled) = (library.files.len(), found - counts.0, compiled - counts.1);
        if from_cache + compiled > 0 {
            tracing::info!(files, compiled, from_cache, "plugin files are read");
            // What was read and compiled, and versions that are gone, leave much with the allocator.
            crate::memory::give_back();
        }
        if compiled > 0 {
            engine.tidy_cache();
        }
        Ok(Plugins::of(library, config, before))
    }

    /// Whether the proxy would take this, without its taking it, in the place of what it serves, if it is there yet. What
    /// of it would stay as it is comes out.
    ///
    /// # Errors
    /// Why not, a line for each problem.
    pub(crate) fn check(
        &self,
        config: &Config,
        plugins: &Plugins,
        proxy: Option<&Running>,
    ) -> Result<Vec<String>, StartError> {
        let parts = self.parts(plugins);
        let Some(proxy) = proxy else { return Bound::check(config, parts).map(|()| Vec::new()) };
        proxy.check(config, parts).map(|kept| kept.iter().map(ToString::to_string).collect())
    }

    /// What the proxy is given.
    pub(crate) fn parts(&self, plugins: &Plugins) -> Parts {
        Parts { plugins: plugins.for_chains(), monitor: self.registry.clone(), names: self.services.names.clone() }
    }

    fn engine(&self, config: &Config, plugins_dir: &Path) -> anyhow::Result<Engine> {
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = engine.as_ref() {
            return Ok(engine.clone());
        }
        let cache = config.cache_dir.clone().unwrap_or_else(|| default_cache(plugins_dir));
        let workers = config.workers.or(std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        let palisade_config::Engine { stack_bytes, memory_bytes } = config.engine;
        let options = Options { stack_bytes, memory_bytes, workers, cache: Some(cache), ..Options::default() };
        Ok(engine.insert(Engine::new(&options, self.services.clone())?).clone())
    }
}

/// What plugins are made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct From<'a> {
    /// Instead of the configuration's own.
    pub(crate) folder: Option<&'a Path>,
    /// The modules whose files somebody is still writing.
    pub(crate) unfinished: &'a BTreeSet<String>,
}

impl From<'_> {
    /// The configuration's own folder, with everything in it.
    pub(crate) const OWN_FOLDER: Self = Self { folder: None, unfinished: &BTreeSet::new() };
}

fn default_cache(plugins: &Path) -> PathBuf {
    plugins.join(".cache")
}
