//! A plugin as `configure` left it: what fresh instances start from, instead of parsing their settings again.
//!
//! An instance of an image is a mapping of memory, copied on write. Images are made by the compiler's part (`configured`). Not every component
//! can be treated so: then there is no image, and every instance is configured for itself.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use palisade_config::PluginLimits;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::compiled::Executor;
use crate::meters::MeterCalls;
use crate::module::{Code, Module};
use crate::runtime::Engine;
use crate::state::{Identity, State};
use crate::{Reason, compiler};

/// A plugin as `configure` left it.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) code: Code,
    pub(crate) setup: Setup,
}

/// What the plugin declared to the host while it was configured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) hot_headers: Vec<String>,
    pub(crate) meters: MeterCalls,
    #[serde(default)]
    pub(crate) tick_interval: Option<Duration>,
}

impl Setup {
    /// Declares all of it again.
    ///
    /// # Errors
    /// A sentence: what was allowed before is no longer.
    pub(crate) fn repeat(&self, state: &mut State) -> Result<(), String> {
        state.hot_headers = self.hot_headers.iter().filter_map(|name| HeaderName::try_from(name).ok()).collect();
        state.tick_interval = self.tick_interval;
        state.meters.repeat(&state.identity, &self.meters)
    }
}

impl Image {
    /// Configures the plugin once and keeps what that left; from the cache, if it was done before. None where this
    /// component or this configuration has no image.
    ///
    /// # Errors
    /// The plugin refuses its settings, or fails while it starts or is configured.
    pub(crate) fn take(
        engine: &Engine,
        module: &Module,
        identity: &Arc<Identity>,
        (limits, settings): (&PluginLimits, &str),
    ) -> Result<Option<Self>, Reason> {
        let (executor, content) = (module.executor(), content(module, settings));
        let manifest = &module.manifest;
        if let Some(setup) = engine.cache.note(&content).and_then(|note| serde_json::from_slice(&note).ok()) {
            let kept = engine.cache.code(&engine.wasmtime, (&content, executor), || Err(()));
            if let Ok(kept) = kept {
                return Ok(Some(Self { code: Code::new(engine, &kept, manifest)?, setup }));
            }
        }
        let Some((configured, setup)) = compiler::configured(engine, module, identity, (limits, settings))? else {
            return Ok(None);
        };
        let compile = || compiler::image(&engine.wasmtime, &configured, executor);
        let compiled = engine.cache.code(&engine.wasmtime, (&content, executor), compile)?;
        if let Ok(note) = serde_json::to_vec(&setup) {
            engine.cache.write_note(&content, &note);
        }
        Ok(Some(Self { code: Code::new(engine, &compiled, manifest)?, setup }))
    }
}

/// What the image depends on: the plugin's file, its settings, and how images are made.
fn content(module: &Module, settings: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(match module.executor() {
        Executor::Component => b"image 1\0",
        Executor::Direct => b"image 2\0",
    });
    hasher.update(module.manifest.sha256.as_bytes());
    hasher.update(settings.as_bytes());
    let digest = hasher.finalize();
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
