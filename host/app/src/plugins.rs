//! The configured plugins: loaded, or with the reason why they are not.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use palisade_config::Config;
use palisade_contract::{self as contract, Names, Phases, SystemClock, Unavailable};
use palisade_engine::{Engine, File, Library, LoadError, Options, Plugin, Services};
use palisade_monitor::{AccessLog, Registry};
use palisade_proxy::{Bound, Parts};

use crate::chains::misplaced;

/// The configured plugins, in the order of the configuration, and every file of their folder.
#[derive(Debug)]
pub(crate) struct Plugins {
    pub(crate) files: Vec<File>,
    pub(crate) loaded: Vec<Result<Plugin, Failed>>,
}

/// A configured plugin that did not load.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) config: Box<palisade_config::Plugin>,
    /// The phases that it would have had, where its file is good.
    pub(crate) phases: Option<Phases>,
    /// With everything that caused it, in one line.
    pub(crate) reason: String,
}

impl Plugins {
    /// Loads every plugin file and configures every plugin. What is wrong with one of them is in the result, and logged.
    ///
    /// # Errors
    /// There can be no engine here, or the folder cannot be read.
    pub(crate) fn load(config: &Config, services: Services) -> anyhow::Result<Self> {
        let Some(folder) = &config.plugins_dir else { return Ok(Self { files: Vec::new(), loaded: Vec::new() }) };
        let cache = config.cache_dir.clone().unwrap_or_else(|| default_cache(folder));
        let options = Options { stack_bytes: config.engine.stack_bytes, cache: Some(cache) };
        let engine = Engine::new(&options, services)?;
        let library = Library::load(&engine, folder, &config.trusted_keys, &config.plugins)
            .with_context(|| format!("cannot read the folder of plugins, {}", folder.display()))?;
        crate::memory::give_back();
        let (found, compiled) = engine.cache_counts();
        tracing::info!(files = library.files.len(), compiled, from_cache = found, "plugin files are read");
        let loaded = library.plugins.into_iter().zip(&config.plugins);
        let loaded = loaded.map(|(plugin, config)| {
            plugin.map_err(|error| Failed {
                config: Box::new(config.clone()),
                phases: error.phases,
                reason: in_one_line(&error),
            })
        });
        Ok(Self { files: library.files, loaded: loaded.collect() })
    }

    /// What chains are made of: one that did not load is stood in for, so that its policy holds.
    pub(crate) fn for_chains(&self) -> Vec<Arc<dyn contract::Plugin>> {
        let plugin = |loaded: &Result<Plugin, Failed>| -> Arc<dyn contract::Plugin> {
            match loaded {
                Ok(plugin) => Arc::new(plugin.clone()),
                Err(failed) => Arc::new(Unavailable {
                    name: failed.config.name.clone(),
                    on_error: failed.config.on_error,
                    phases: failed.phases,
                    reason: failed.reason.clone(),
                }),
            }
        };
        self.loaded.iter().map(plugin).collect()
    }

    /// What is wrong, a line for each plugin, for each file that no plugin names, and for each plugin that stands where it
    /// cannot run.
    pub(crate) fn problems(&self, config: &Config) -> Vec<String> {
        let plugins = self.loaded.iter().filter_map(|loaded| loaded.as_ref().err().map(|failed| failed.reason.clone()));
        let unnamed = self.files.iter().filter(|file| !self.is_named(&file.module));
        let files = unnamed.filter_map(|file| {
            let reason = file.manifest.as_ref().err()?;
            Some(format!("{}, which no plugin of the configuration names: {reason}", file.path.display()))
        });
        plugins.chain(files).chain(misplaced(config, &self.phases())).collect()
    }

    /// In the order of the configuration; none where they are not known.
    fn phases(&self) -> Vec<Option<Phases>> {
        let phases = |loaded: &Result<Plugin, Failed>| match loaded {
            Ok(plugin) => Some(plugin.manifest().phases),
            Err(failed) => failed.phases,
        };
        self.loaded.iter().map(phases).collect()
    }

    fn is_named(&self, module: &str) -> bool {
        self.loaded.iter().any(|loaded| match loaded {
            Ok(plugin) => plugin.config().module == module,
            Err(failed) => failed.config.module == module,
        })
    }
}

/// Everything that is wrong with a configuration beyond its text: plugins are loaded and configured for real, and
/// certificates read.
///
/// # Errors
/// It cannot be checked at all.
pub(crate) fn check(config: &Config) -> anyhow::Result<Vec<String>> {
    let names = Arc::new(Names::default());
    let registry = Registry::new(env!("CARGO_PKG_VERSION"), contract::Clock::wall(&SystemClock), AccessLog::Off);
    let services = Services { names: names.clone(), metrics: registry.clone(), ..Services::default() };
    let plugins = Plugins::load(config, services)?;
    let mut problems = plugins.problems(config);
    let parts = Parts { plugins: plugins.for_chains(), monitor: registry, names };
    if let Err(error) = Bound::check(config, parts) {
        problems.extend(error.to_string().lines().map(str::to_owned));
    }
    Ok(problems)
}

fn default_cache(plugins: &std::path::Path) -> PathBuf {
    plugins.join(".cache")
}

fn in_one_line(error: &LoadError) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line = format!("{line}: {cause}");
        source = cause.source();
    }
    line
}
