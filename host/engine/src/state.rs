//! What the host keeps beside a guest's memory: who it is, what it may do now, and what it is doing it to.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use http::header::HeaderName;
use palisade_contract::metrics::{Discard, Metrics};
use palisade_contract::{
    Clock, Edits, Exchange, ExchangeId, Names, Namespace, OnError, Phase, Reply, SharedStore, SystemClock, Tls,
};

use crate::allowance::Allowance;
use crate::backoff::Backoff;
use crate::before::Before;
use crate::budget::Budget;
use crate::callouts::{Callouts, UnderWay};
use crate::direct::Passage;
use crate::limits::Limiter;
use crate::memory_store::MemoryStore;
use crate::meters::{Admitted, Meters};
use crate::stats::Stats;

/// What the engine is given by whoever embeds it.
#[derive(Debug, Clone)]
pub struct Services {
    /// Where guests read time.
    pub clock: Arc<dyn Clock>,
    /// The text of the names that guests are told by number.
    pub names: Arc<Names>,
    /// Where guests' metrics go.
    pub metrics: Arc<dyn Metrics>,
    /// What guests share: it has to be the same one for every engine of a process, so that it outlives each of them.
    pub shared: Arc<dyn SharedStore>,
}

impl Default for Services {
    /// The machine's clocks, no names yet, metrics that nobody counts, and shared state of their own.
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            names: Arc::default(),
            metrics: Arc::new(Discard),
            shared: Arc::new(MemoryStore::default()),
        }
    }
}

/// What stays the same for all instances of one plugin.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The plugin's name in the config.
    pub(crate) name: String,
    pub(crate) on_error: Option<OnError>,
    /// The upstreams that it may send requests to.
    pub(crate) fetch: Vec<String>,
    /// Such requests.
    pub(crate) under_way: UnderWay,
    /// Its file's stem.
    pub(crate) module: String,
    pub(crate) services: Services,
    /// What all plugins may have of memory.
    pub(crate) budget: Arc<Budget>,
    pub(crate) backoff: Backoff,
    pub(crate) stats: Arc<Stats>,
    /// The series that any of its instances ever had.
    pub(crate) series: Arc<Admitted>,
    /// What it shares; none where it does not ask for that.
    pub(crate) shared: Option<Arc<dyn Namespace>>,
    /// How often it is to tick, once it was configured.
    pub(crate) tick_interval: OnceLock<Duration>,
}

impl Identity {
    /// An instance broke, or did not start.
    pub(crate) fn broke(&self, now: Instant) {
        if let Some(pause) = self.backoff.broke(now) {
            tracing::warn!(plugin = self.name, ?pause, "the plugin keeps failing and is left alone");
        }
    }
}

/// Lines that one instance may log in a second.
const LOG_LINES: usize = 100;

/// Values that one instance may record in histograms in a second: the registry keeps each until it is next looked at.
const SAMPLES: usize = 200_000;

/// The data of one instance's store.
pub(crate) struct State {
    pub(crate) identity: Arc<Identity>,
    pub(crate) limits: palisade_config::PluginLimits,
    pub(crate) limiter: Limiter,
    pub(crate) callouts: Callouts,
    /// Whether its request filter may wait for what it asks for.
    pub(crate) can_wait: bool,
    pub(crate) stage: Stage,
    /// The exchange at hand; between calls a vacant one, so that no call pays for an allocation.
    pub(crate) exchange: Box<Exchange>,
    /// How the client of the connection at hand came through TLS, while a connection filter is asked.
    pub(crate) tls: Option<Arc<Tls>>,
    /// The exchange's heads as they were before the first change of this call.
    pub(crate) before: Before,
    /// The piece of a body at hand, while the guest is asked about one.
    pub(crate) piece: Option<PieceAtHand>,
    /// What `reply.prepare` was given in this call.
    pub(crate) reply: Option<Reply>,
    /// What `fault.report` was given in this call.
    pub(crate) fault: Option<String>,
    pub(crate) hot_headers: Vec<HeaderName>,
    pub(crate) tick_interval: Option<Duration>,
    pub(crate) meters: Meters,
    pub(crate) log_lines: Allowance,
    pub(crate) samples: Allowance,
    /// Whether the guest was told something that another moment, or another process, would have told otherwise.
    pub(crate) told_of_now: bool,
    pub(crate) wasi: crate::host::wasi::Tables,
    /// How values are passed, where the guest is called directly.
    pub(crate) passage: Option<Passage>,
    /// Whether the guest may call the host now: not while it gives memory or takes it back.
    pub(crate) may_call: bool,
}

/// What the guest is being called for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is not being called, or its own start function runs.
    Idle,
    /// `lifecycle`.
    Configure,
    /// One of the phases.
    Phase(Phase),
}

/// A piece of a body, as host calls see it.
pub(crate) struct PieceAtHand {
    pub(crate) edits: Edits,
    /// Whether its head did not go on yet.
    pub(crate) holds_head: bool,
    /// How much may be put in its place.
    pub(crate) bytes_max: usize,
    /// What takes its place, if anything does.
    pub(crate) written: Option<Vec<u8>>,
}

impl State {
    pub(crate) fn new(identity: &Arc<Identity>, limits: palisade_config::PluginLimits) -> Self {
        Self {
            identity: identity.clone(),
            limits,
            limiter: Limiter::new(limits, identity.budget.clone()),
            callouts: Callouts::default(),
            can_wait: false,
            stage: Stage::Idle,
            exchange: Exchange::vacant(),
            tls: None,
            before: Before::new(identity.on_error),
            piece: None,
            reply: None,
            fault: None,
            hot_headers: Vec::new(),
            tick_interval: None,
            meters: Meters::new(limits.series),
            log_lines: Allowance::new(LOG_LINES),
            samples: Allowance::new(SAMPLES),
            told_of_now: false,
            wasi: crate::host::wasi::Tables::default(),
            passage: None,
            may_call: true,
        }
    }

    /// The exchange at hand, for a host call about it in one of these phases.
    ///
    /// # Errors
    /// The handle is another one's, or the phase is not one of these: the guest traps.
    pub(crate) fn at_hand(&self, handle: u64, phases: &[Phase]) -> wasmtime::Result<&Exchange> {
        self.check(handle, phases)?;
        Ok(&self.exchange)
    }

    /// How the client of the connection at hand came through TLS, for a host call about it: of the exchange, where one is at
    /// hand.
    ///
    /// # Errors
    /// No connection is at hand: the guest traps.
    pub(crate) fn tls_at_hand(&self) -> wasmtime::Result<Option<&Arc<Tls>>> {
        match self.stage {
            Stage::Phase(Phase::Connection) => Ok(self.tls.as_ref()),
            Stage::Phase(Phase::Observe | Phase::Tick) | Stage::Idle | Stage::Configure => {
                wasmtime::bail!("a host call about a client's TLS where no client is at hand")
            }
            Stage::Phase(_) => Ok(self.exchange.connection.tls.as_ref()),
        }
    }

    /// Whether the head that is passed in this phase, or goes before the body of this one, can still be changed.
    pub(crate) fn holds_head(&self) -> bool {
        self.piece.as_ref().is_none_or(|piece| piece.holds_head)
    }

    fn check(&self, handle: u64, phases: &[Phase]) -> wasmtime::Result<()> {
        match self.stage {
            Stage::Phase(phase) if !phases.contains(&phase) => {
                wasmtime::bail!("a host call about an exchange that cannot be made in {}", phase.as_str())
            }
            Stage::Phase(_) if self.exchange.id != ExchangeId(handle) => {
                wasmtime::bail!("exchange {handle} is not the one at hand, {}", self.exchange.id.0)
            }
            Stage::Phase(_) => Ok(()),
            Stage::Idle | Stage::Configure => wasmtime::bail!("a host call about an exchange outside of any"),
        }
    }
}
