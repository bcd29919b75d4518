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
pub(crate) enum Source {
    /// Its code: each takes the settings for itself.
    Settings(Code),
    /// What instances start from, where configuring each one would take too long.
    Image(Image),
}

impl Source {
    /// Configures a first instance, and takes an image of it where that saves the next ones much.
    ///
    /// # Errors
    /// The plugin refuses its settings, or fails while it starts or is configured.
    pub(crate) fn new(engine: &Engine, module: &Module, configured: &Configured) -> Result<Self, Reason> {
        let Configured { identity, limits, settings, .. } = configured;
        let take = || Image::take(engine, module, identity, (limits, settings)).map(|image| image.map(Self::Image));
        let image_settings_bytes = match configured.isolation {
            Isolation::Shared => IMAGE_SETTINGS_BYTES,
            Isolation::Request => IMAGE_SETTINGS_BYTES_FOR_REQUEST,
        };
        let image = if settings.len() >= image_settings_bytes { take()? } else { None };
        let mut source = match image {
            Some(image) => image,
            None => Self::Settings(module.code(engine)?),
        };
        let start = |source: &Self| {
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
        let is_slow = start(&source)? && matches!(source, Self::Settings(_)) && start(&source)?;
        if is_slow && let Some(image) = take()? {
            source = image;
        }
        if matches!(source, Self::Image(_)) {
            module.set_aside(engine);
        }
        Ok(source)
    }

    /// A fresh instance, configured.
    ///
    /// # Errors
    /// It fails, or refuses its settings; or there is no slot for it in the pool, where it is to be in one.
    pub(crate) fn start(&self, configured: &Configured) -> Result<Instance, StartError> {
        let Configured { identity, limits, settings, .. } = configured;
        match self {
            Self::Image(image) => Instance::of_image(&image.code, identity, *limits, &image.setup),
            Self::Settings(code) => Instance::configured(code, identity, *limits, settings),
        }
    }
}
