//! The engine: one compiler, one set of host functions, one clock tick for every deadline.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::address_space::Reservation;
use crate::budget::Budget;
use crate::cache::Cache;
use crate::compiler;
use crate::host;
use crate::pool;
use crate::state::Services;

/// How exact deadlines are: a call is cut between its deadline and two ticks later.
const TICK: Duration = Duration::from_millis(5);

/// What an engine is made with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bytes of stack that a guest may use. Threads that call guests need this much and 256 KiB more.
    pub stack_bytes: usize,
    /// Bytes of linear memory that all instances of all plugins may have together.
    pub memory_bytes: usize,
    /// Threads that open plugins: each has instances of its own.
    pub workers: usize,
    /// Where compiled code is kept. None compiles everything at every start.
    pub cache: Option<PathBuf>,
    /// Whether every plugin runs as a component, also one that could run as its core module ([`Executor`](crate::Executor)): for comparisons.
    pub components_alone: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { stack_bytes: 512 << 10, memory_bytes: 1 << 30, workers: 1, cache: None, components_alone: false }
    }
}

/// Compiles plugins and runs them. Cheap to clone; ends its ticking thread with the last clone.
#[derive(Clone)]
pub struct Engine {
    pub(crate) wasmtime: wasmtime::Engine,
    pub(crate) linkers: Arc<host::Linkers>,
    pub(crate) cache: Arc<Cache>,
    pub(crate) services: Services,
    pub(crate) options: Options,
    pub(crate) budget: Arc<Budget>,
    /// The same engine once more, whose instances are made in slots that are used again; made when it is first wanted.
    pooled: Arc<OnceLock<Option<Engine>>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Engine").field("cache", &self.cache).finish_non_exhaustive()
    }
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The machine, or the options, are not what the compiler needs.
    #[error("WebAssembly cannot run here: {0:#}")]
    Runtime(wasmtime::Error),
    /// The thread that watches deadlines did not start.
    #[error("the thread that watches deadlines did not start")]
    Thread(#[source] std::io::Error),
}

impl Engine {
    /// An engine with these services for its guests.
    ///
    /// A cache folder that cannot be used is logged and done without.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn new(options: &Options, services: Services) -> Result<Self, EngineError> {
        let cache = options.cache.as_ref().map_or_else(Cache::none, |folder| {
            Cache::open(folder).unwrap_or_else(|error| {
                tracing::warn!(folder = %folder.display(), %error, "compiled code is not kept");
                Cache::none()
            })
        });
        let budget = Budget::new(options.memory_bytes);
        Self::with(&config(options.stack_bytes), Arc::new(cache), services, (options, budget))
    }

    fn with(
        config: &wasmtime::Config,
        cache: Arc<Cache>,
        services: Services,
        (options, budget): (&Options, Arc<Budget>),
    ) -> Result<Self, EngineError> {
        let wasmtime = wasmtime::Engine::new(config).map_err(EngineError::Runtime)?;
        let linkers = Arc::new(host::linkers(&wasmtime).map_err(EngineError::Runtime)?);
        tick(&wasmtime).map_err(EngineError::Thread)?;
        Ok(Self { wasmtime, linkers, cache, services, options: options.clone(), budget, pooled: Arc::default() })
    }

    /// This engine once more, for instances that live for one exchange: making one in a slot of the pool costs less than
    /// half. It takes the same compiled code. None where the address space for it is not to be had.
    pub(crate) fn pooled(&self) -> Option<&Self> {
        let make = || {
            let mut config = config(self.options.stack_bytes);
            config.allocation_strategy(pool::allocation());
            Self::with(&config, self.cache.clone(), self.services.clone(), (&self.options, self.budget.clone()))
                .inspect_err(|error| tracing::warn!(%error, "there is no pool of instances; each is made for itself"))
                .ok()
        };
        self.pooled.get_or_init(make).as_ref()
    }

    /// Removes compiled code that was not used for longest, where the cache has grown beyond 256 MiB. Reads a folder: never
    /// on a worker.
    pub fn tidy_cache(&self) {
        self.cache.tidy();
    }

    /// How often compiled code was found in the cache, and how often it was compiled.
    #[must_use]
    pub fn cache_counts(&self) -> (u64, u64) {
        self.cache.counts()
    }
}

pub(crate) fn config(stack_bytes: usize) -> wasmtime::Config {
    let reservation = Reservation::of_this_process();
    let mut config = wasmtime::Config::new();
    config
        .wasm_component_model(true)
        // Twice to three times the price of every call, for what no interface of ours uses.
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(stack_bytes)
        .memory_reservation(reservation.memory)
        .memory_guard_size(reservation.guard)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(8))
        .native_unwind_info(false);
    compiler::configure(&mut config);
    config
}

/// Advances the epoch for as long as the engine lives.
fn tick(engine: &wasmtime::Engine) -> std::io::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new().name("plugin-deadlines".into()).stack_size(64 << 10).spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    })?;
    Ok(())
}

/// A time in ticks, never less than what was asked for.
pub(crate) fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX >> 1).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_shorter_than_it_says() {
        for (milliseconds, expected) in [(0, 1), (1, 2), (5, 2), (6, 3), (50, 11)] {
            assert_eq!(ticks(Duration::from_millis(milliseconds)), expected, "{milliseconds} ms");
        }
    }
}
