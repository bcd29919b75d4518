//! The instances of one plugin on one worker: which of them serves a call.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use palisade_config::Isolation;
use palisade_contract::{ExchangeId, Failure};

use crate::instance::{Instance, StartError};
use crate::plugin::Inner;

/// Between two tries to start a fresh instance where the first did not start.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The instances of one plugin on one worker.
///
/// A call takes an instance and puts it back when it is done; one that is broken is dropped instead.
pub(crate) struct Instances {
    plugin: Arc<Inner>,
    isolation: Isolation,
    /// Serves connections and observing, and with shared isolation every exchange. None while a call has it.
    common: Cell<Option<Box<Instance>>>,
    /// With isolation by request: what each exchange under way keeps between its phases.
    own: RefCell<HashMap<ExchangeId, Box<Instance>>>,
    /// After a fresh instance did not start: not before this is another one tried.
    retry_at: Cell<Option<Instant>>,
    /// When the shared instance was called last.
    used: Cell<Instant>,
}

impl Instances {
    /// With one that is warm, where connections or exchanges share it and it starts.
    pub(crate) fn warm(plugin: Arc<Inner>) -> Self {
        let isolation = plugin.config.life.isolation;
        let is_common = isolation == Isolation::Shared || plugin.serves_others();
        let common = is_common.then(|| plugin.start().ok().map(Box::new)).flatten();
        let used = Cell::new(plugin.identity.services.clock.now());
        Self { plugin, isolation, common: Cell::new(common), own: RefCell::default(), retry_at: Cell::new(None), used }
    }

    /// Whether exchanges have instances of their own, and so are to be told of with [`Instances::left`].
    pub(crate) fn isolates(&self) -> bool {
        self.isolation == Isolation::Request
    }

    /// The instance for a call about this exchange, or about none: the one that is kept for it, or a fresh one.
    ///
    /// # Errors
    /// As many exchanges as the limit allows have one; or a fresh one does not start. The worker stands still while one
    /// starts, so that is not tried again at once.
    pub(crate) fn take(&self, exchange: Option<ExchangeId>, now: Instant) -> Result<Box<Instance>, Failure> {
        match exchange.filter(|_| self.isolates()) {
            None => {
                self.used.set(now);
                self.common.take().map_or_else(|| self.fresh(now, Inner::start), Ok)
            }
            Some(exchange) => {
                let mut own = self.own.borrow_mut();
                if let Some(instance) = own.remove(&exchange) {
                    return Ok(instance);
                }
                let exchanges_max = self.plugin.config.limits.exchanges;
                if own.len() >= exchanges_max {
                    return Err(Failure::Unavailable(format!(
                        "{exchanges_max} exchanges have an instance of it already"
                    )));
                }
                self.fresh(now, Inner::start_for_exchange)
            }
        }
    }

    /// The call is over and the instance can be called again.
    pub(crate) fn put_back(&self, exchange: Option<ExchangeId>, instance: Box<Instance>) {
        match exchange.filter(|_| self.isolates()) {
            None => self.common.set(Some(instance)),
            Some(exchange) => drop(self.own.borrow_mut().insert(exchange, instance)),
        }
    }

    /// Whether a call about this exchange would go to the instance of this number, and to no other.
    pub(crate) fn has(&self, exchange: ExchangeId, number: u64) -> bool {
        if self.isolates() {
            return self.own.borrow().get(&exchange).is_some_and(|instance| instance.number == number);
        }
        let common = self.common.take();
        let has = common.as_ref().is_some_and(|instance| instance.number == number);
        self.common.set(common);
        has
    }

    /// The shared instance goes if it was of no use for so long.
    pub(crate) fn release_idle(&self, now: Instant) {
        let used = self.used.get();
        let idle = self.plugin.config.life.idle.filter(|idle| now.saturating_duration_since(used) >= *idle);
        if idle.is_some() && self.common.take().is_some() {
            tracing::debug!(plugin = self.plugin.config.name, "an instance that was of no use is released");
        }
    }

    /// No call about this exchange follows: the instance that is kept for it is dropped.
    pub(crate) fn left(&self, exchange: ExchangeId) {
        self.own.borrow_mut().remove(&exchange);
    }

    fn fresh(
        &self,
        now: Instant,
        start: impl FnOnce(&Inner) -> Result<Instance, StartError>,
    ) -> Result<Box<Instance>, Failure> {
        if self.retry_at.get().is_some_and(|retry_at| now < retry_at) {
            return Err(Failure::Unavailable("its last fresh instance did not start".into()));
        }
        start(&self.plugin).map(Box::new).map_err(|error| {
            let now = self.plugin.identity.services.clock.now();
            self.retry_at.set(Some(now + RETRY_AFTER));
            self.plugin.identity.broke(now);
            unavailable(error)
        })
    }
}

fn unavailable(error: StartError) -> Failure {
    match error {
        StartError::Failed(failure) => Failure::Unavailable(format!("a fresh instance {failure}")),
        StartError::Refused(sentence) => {
            Failure::Unavailable(format!("a fresh instance refuses its settings: {sentence}"))
        }
        StartError::Type(message) => Failure::Unavailable(message),
        StartError::PoolIsFull => Failure::Unavailable("no slot of the pool is free".into()),
    }
}
