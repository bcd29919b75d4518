//! The configured plugins: loaded, or with the reason why they are not.

use std::error::Error;
use std::sync::Arc;
use std::time::SystemTime;

use palisade_config::Config;
use palisade_contract::{self as contract, Phases, SystemClock, Unavailable};
use palisade_engine::{Library, LoadError, Plugin, Services};
use palisade_monitor::{AccessLog, Registry};

use crate::chains::misplaced;
use crate::loader::{From, Loader};

/// The configured plugins, in the order of the configuration, and every file of their folder.
#[derive(Debug, Default)]
pub(crate) struct Plugins {
    pub(crate) library: Library,
    pub(crate) loaded: Vec<Loaded>,
}

/// One configured plugin.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) plugin: Result<Plugin, Failed>,
    /// What chains are made of: one that did not load is stood in for, so that its policy holds.
    in_chains: Arc<dyn contract::Plugin>,
    /// Why what its folder holds is not what runs.
    pub(crate) pending: Option<String>,
    /// None until it is served.
    pub(crate) since: Option<Since>,
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

/// When a version of a plugin was taken over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Since {
    pub(crate) generation: u64,
    pub(crate) at: SystemTime,
}

impl Plugins {
    /// The plugins that a library has made of a configuration. What is the same as before is the same for the proxy, too.
    pub(crate) fn of(library: Library, config: &Config, before: &Self) -> Self {
        let loaded = library.plugins.iter().zip(&config.plugins).map(|(plugin, config)| {
            let plugin = match plugin {
                Ok(plugin) => Ok(plugin.clone()),
                Err(error) => {
                    Err(Failed { config: Box::new(config.clone()), phases: error.phases, reason: in_one_line(error) })
                }
            };
            let refused = library.refused.iter().find(|refused| refused.plugin == config.name);
            let pending = refused.map(|refused| refused.reason.to_string());
            match before.loaded.iter().find(|before| before.is(&plugin)) {
                Some(same) => Loaded { plugin, pending, in_chains: same.in_chains.clone(), since: same.since },
                None => Loaded { in_chains: in_chains(&plugin), plugin, pending, since: None },
            }
        });
        Self { loaded: loaded.collect(), library }
    }

    /// Those of a configuration without any. What was counted of others is kept.
    pub(crate) fn none(&self) -> Self {
        Self { library: self.library.without_plugins(), loaded: Vec::new() }
    }

    /// What chains are made of.
    pub(crate) fn for_chains(&self) -> Vec<Arc<dyn contract::Plugin>> {
        self.loaded.iter().map(|loaded| loaded.in_chains.clone()).collect()
    }

    /// They are served from now on: those that are new since now.
    pub(crate) fn taken_over(&mut self, now: Since) {
        for loaded in self.loaded.iter_mut().filter(|loaded| loaded.since.is_none()) {
            loaded.since = Some(now);
            if let Ok(plugin) = &loaded.plugin {
                plugin.stats().forget_last_error();
            }
        }
    }

    /// Whether every plugin of these is one of those, and the other way around.
    pub(crate) fn are(&self, others: &Self) -> bool {
        let is_same = |(one, other): (&Loaded, &Loaded)| Arc::ptr_eq(&one.in_chains, &other.in_chains);
        self.loaded.len() == others.loaded.len() && self.loaded.iter().zip(&others.loaded).all(is_same)
    }

    /// What is wrong, a line for each plugin that does not run, for each file of which another version runs, for each file
    /// that no plugin names, and for each plugin that stands where it cannot run.
    pub(crate) fn problems(&self, config: &Config) -> Vec<String> {
        let unnamed = self.library.files.iter().filter(|file| !self.is_named(&file.module));
        let files = unnamed.filter_map(|file| {
            let reason = file.manifest.as_ref().err()?;
            Some(format!("{}, which no plugin of the configuration names: {reason}", file.path.display()))
        });
        let failed = self.failed().map(|failed| failed.reason.clone());
        failed.chain(refusals(&self.library.refused)).chain(files).chain(misplaced(config, &self.phases())).collect()
    }

    /// What is wrong with these and was not before: what those have that they are to replace is no reason not to replace
    /// them.
    pub(crate) fn new_problems(&self, config: &Config, before: (&Self, &Config)) -> Vec<String> {
        let (before, config_before) = before;
        let is_new = |failed: &&Failed| !before.failed().any(|before| before.config == failed.config);
        let known = misplaced(config_before, &before.phases());
        let misplaced = misplaced(config, &self.phases()).into_iter().filter(|sentence| !known.contains(sentence));
        self.failed().filter(is_new).map(|failed| failed.reason.clone()).chain(misplaced).collect()
    }

    /// Those that did not load.
    pub(crate) fn failed(&self) -> impl Iterator<Item = &Failed> {
        self.loaded.iter().filter_map(|loaded| loaded.plugin.as_ref().err())
    }

    /// Those that run.
    pub(crate) fn running(&self) -> impl Iterator<Item = &Plugin> {
        self.loaded.iter().filter_map(|loaded| loaded.plugin.as_ref().ok())
    }

    /// In the order of the configuration; none where they are not known.
    fn phases(&self) -> Vec<Option<Phases>> {
        let phases = |loaded: &Loaded| match &loaded.plugin {
            Ok(plugin) => Some(plugin.manifest().phases),
            Err(failed) => failed.phases,
        };
        self.loaded.iter().map(phases).collect()
    }

    fn is_named(&self, module: &str) -> bool {
        self.loaded.iter().any(|loaded| loaded.config().module == module)
    }
}

impl Loaded {
    /// How the operator configured it.
    pub(crate) fn config(&self) -> &palisade_config::Plugin {
        match &self.plugin {
            Ok(plugin) => plugin.config(),
            Err(failed) => &failed.config,
        }
    }

    fn is(&self, plugin: &Result<Plugin, Failed>) -> bool {
        match (&self.plugin, plugin) {
            (Ok(one), Ok(other)) => one.is(other),
            (Err(one), Err(other)) => {
                one.config == other.config && one.reason == other.reason && one.phases == other.phases
            }
            (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
        }
    }
}

fn in_chains(plugin: &Result<Plugin, Failed>) -> Arc<dyn contract::Plugin> {
    match plugin {
        Ok(plugin) => Arc::new(plugin.clone()),
        Err(failed) => Arc::new(Unavailable {
            name: failed.config.name.clone(),
            on_error: failed.config.on_error,
            phases: failed.phases,
            reason: failed.reason.clone(),
        }),
    }
}

/// A line for each file that is refused, whatever number of plugins are made of it, and for each plugin that alone is.
fn refusals(refused: &[LoadError]) -> Vec<String> {
    let is_same = |one: &&LoadError, other: &&LoadError| Arc::ptr_eq(&one.reason, &other.reason);
    let mut lines = Vec::new();
    for (index, error) in refused.iter().enumerate() {
        if refused.iter().take(index).any(|earlier| is_same(&earlier, &error)) {
            continue;
        }
        let plugins = refused.iter().filter(|other| is_same(other, &error));
        let plugins: Vec<String> = plugins.map(|error| format!("{:?}", error.plugin)).collect();
        let (noun, verb) = if plugins.len() == 1 { ("plugin", "goes on") } else { ("plugins", "go on") };
        let (plugins, file) = (plugins.join(", "), error.file.display());
        lines.push(format!(
            "{file} is not used, and {noun} {plugins} {verb} in the version from before: {}",
            error.reason
        ));
    }
    lines
}

/// Everything that is wrong with a configuration beyond its text: plugins are loaded and configured for real, and
/// certificates read.
///
/// # Errors
/// It cannot be checked at all.
pub(crate) fn check(config: &Config) -> anyhow::Result<Vec<String>> {
    let registry = Registry::new(env!("CARGO_PKG_VERSION"), contract::Clock::wall(&SystemClock), AccessLog::Off);
    let loader = Loader::new(Services { metrics: registry.clone(), ..Services::default() }, registry);
    let plugins = loader.load(config, &Plugins::default(), From::OWN_FOLDER)?;
    let mut problems = plugins.problems(config);
    if let Err(error) = loader.check(config, &plugins, None) {
        problems.extend(error.to_string().lines().map(str::to_owned));
    }
    Ok(problems)
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
