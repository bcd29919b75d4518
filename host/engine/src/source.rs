//! What fresh instances of a configured plugin are made of: its code with settings to take, or an image that took them.

use std::sync::Arc;
use std::time::Duration;

use palisade_config::{Isolation, PluginLimits};

use crate::Reason;
use crate::image::Image;
use crate::instance::{Instance, StartError};
use crate::module::{Code, Module};
use crate::runtime::Engine;
use crate::state::Identity;

/// Settings of at least this size are taken only once, into an image that every instance starts from. Smaller ones are
/// parsed in microseconds, far less than an image takes to make.
const IMAGE_SETTINGS_BYTES: usize = 4 << 10;

/// So are settings that take this long, however small: a worker that needs a fresh instance stands still meanwhile.
const IMAGE_START_TIME: Duration = Duration::from_millis(5);

/// So is whatever is not empty where every exchange needs a fresh instance.
const IMAGE_SETTINGS_BYTES_FOR_REQUEST: usize = "{}".len() + 1;

/// A plugin as one configuration has it, beside its code.
#[derive(Debug)]
pub(crate) struct Configured {
    pub(crate) identity: Arc<Identity>,
    pub(crate) isolation: Isolation,
    pub(crate) limits: PluginLimits,
    pub(crate) settings: String,
}

/// What fresh instances of one plugin are made of, in one engine.
#[derive(Debug)]
pub(crate) struct Source {
    code: Code,
    /// What instances start from, where configuring each one would take too long.
    image: Option<Image>,
}

impl Source {
    /// Configures a first instance, and takes an image of it where that saves the next ones much.
    ///
    /// # Errors
    /// The plugin refuses its settings, or fails while it starts or is configured.
    pub(crate) fn new(engine: &Engine, module: &Module, configured: &Configured) -> Result<Self, Reason> {
        let Configured { identity, limits, settings, .. } = configured;
        let take = || Image::take(engine, module, identity, (limits, settings));
        let image_settings_bytes = match configured.isolation {
            Isolation::Shared => IMAGE_SETTINGS_BYTES,
            Isolation::Request => IMAGE_SETTINGS_BYTES_FOR_REQUEST,
        };
        let image = if settings.len() >= image_settings_bytes { take()? } else { None };
        let mut source = Self { code: module.code.clone(), image };
        let start = || {
            let began = engine.services.clock.now();
            let started = source.start(configured).map_err(Reason::from);
            started.map(|instance| {
                if let Some(interval) = instance.store.data().tick_interval {
                    identity.tick_interval.get_or_init(|| interval);
                }
                engine.services.clock.now().saturating_duration_since(began) >= IMAGE_START_TIME
            })
        };
        // Once may have been slow because the machine was busy.
        let is_slow = start()? && source.image.is_none() && start()?;
        if is_slow {
            source.image = take()?;
        }
        if source.image.is_some() {
            module.code.set_aside();
        }
        Ok(source)
    }

    /// A fresh instance, configured.
    ///
    /// # Errors
    /// It fails, or refuses its settings; or there is no slot for it in the pool, where it is to be in one.
    pub(crate) fn start(&self, configured: &Configured) -> Result<Instance, StartError> {
        let Configured { identity, limits, settings, .. } = configured;
        match &self.image {
            Some(image) => Instance::of_image(&image.code, identity, *limits, &image.setup),
            None => Instance::configured(&self.code, identity, *limits, settings),
        }
    }
}
