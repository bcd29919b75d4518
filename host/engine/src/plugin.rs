//! A module with one configuration's settings, grants and limits.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use palisade_config::PluginLimits;
use palisade_contract::{self as contract, Filter, OnError, WorkerServices};

use crate::Reason;
use crate::filter::Slot;
use crate::image::Image;
use crate::instance::{Instance, StartError};
use crate::manifest::Manifest;
use crate::meters::Admitted;
use crate::module::Module;
use crate::runtime::Engine;
use crate::state::Identity;
use crate::stats::Stats;

/// Settings of at least this size are taken only once, into an image that every instance starts from. Smaller ones are
/// parsed in microseconds, far less than an image takes to make.
const IMAGE_SETTINGS_BYTES: usize = 4 << 10;

/// So are settings that take this long, however small: a worker that needs a fresh instance stands still meanwhile.
const IMAGE_START_TIME: Duration = Duration::from_millis(5);

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
    settings: String,
    /// What fresh instances start from, where configuring each one would take too long.
    image: Option<Image>,
}

impl Plugin {
    /// Checks what the plugin asks for against what is granted, and configures a first instance with its settings.
    ///
    /// # Errors
    /// It asks for more, has no phase, refuses its settings, or fails while it starts or is configured.
    pub fn new(engine: &Engine, module: &Module, config: &palisade_config::Plugin) -> Result<Self, Reason> {
        let manifest = module.manifest();
        if let Some(capability) = manifest.asks.iter().find(|asked| !config.grants.contains(asked)) {
            return Err(Reason::NotGranted { plugin: config.name.clone(), capability: *capability });
        }
        if manifest.phases.iter().next().is_none() {
            return Err(Reason::NoPhase);
        }
        let mut inner = Inner {
            module: module.clone(),
            identity: identity(engine, (&config.name, &config.module), config.on_error),
            config: config.clone(),
            settings: config.settings.to_string(),
            image: None,
        };
        let take = |inner: &Inner| Image::take(engine, module, &inner.identity, (&config.limits, &inner.settings));
        if inner.settings.len() >= IMAGE_SETTINGS_BYTES {
            inner.image = take(&inner)?;
        }
        let start = || {
            let began = engine.services.clock.now();
            let started = inner.start().map_err(Reason::from);
            started.map(|_| engine.services.clock.now().saturating_duration_since(began) >= IMAGE_START_TIME)
        };
        // Once may have been slow because the machine was busy.
        let is_slow = start()? && inner.image.is_none() && start()?;
        if is_slow {
            inner.image = take(&inner)?;
        }
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The JSON Schema of a module's settings, as its author's code tells it within the default limits.
    ///
    /// # Errors
    /// It fails while it starts or tells.
    pub fn settings_schema(engine: &Engine, module: &Module) -> Result<String, Reason> {
        let identity = identity(engine, (&module.manifest().about.name, ""), None);
        Instance::settings_schema(&module.code, &identity, PluginLimits::default()).map_err(Reason::from)
    }

    /// What its file says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.inner.module.manifest()
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
}

fn identity(engine: &Engine, (name, module): (&str, &str), on_error: Option<OnError>) -> Arc<Identity> {
    Arc::new(Identity {
        name: name.to_owned(),
        on_error,
        module: module.to_owned(),
        services: engine.services.clone(),
        stats: Stats::default(),
        series: Admitted::default(),
    })
}

impl Inner {
    /// A fresh instance, configured.
    pub(crate) fn start(&self) -> Result<Instance, StartError> {
        match &self.image {
            Some(image) => Instance::of_image(&image.code, &self.identity, self.config.limits, &image.setup),
            None => Instance::configured(&self.module.code, &self.identity, self.config.limits, &self.settings),
        }
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
        }
    }
}
