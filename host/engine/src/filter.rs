//! A plugin on one worker: the warm instance, and a fresh one where it was thrown away.

use std::cell::{Cell, RefCell};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use palisade_contract::{
    self as contract, Candidate, Exchange, Failure, Filter, Flow, OnError, Phase, Phases, Pick, PickRequest,
    WorkerServices,
};

use crate::abi::{self, Choice, Verdict, WireRequest};
use crate::failure::{FailureLog, spares_the_instance};
use crate::instance::{Instance, StartError};
use crate::plugin::Inner;
use crate::stats::Tally;

/// Events that are handed to an observer at a time.
const BATCH: usize = 64;

/// Between two tries to start a fresh instance where the first did not start.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A plugin on one worker.
pub(crate) struct Slot {
    plugin: Arc<Inner>,
    live: RefCell<Option<Instance>>,
    tally: Arc<Tally>,
    buffers: RefCell<Buffers>,
    failures: RefCell<FailureLog>,
    batch: RefCell<Batch>,
    /// After a fresh instance did not start: not before this is another one tried.
    retry_at: Cell<Option<Instant>>,
    phases: Phases,
}

/// What calls are packed into, kept so that no call allocates.
#[derive(Default)]
struct Buffers {
    text: Vec<u8>,
    candidates: Vec<u64>,
}

#[derive(Default)]
struct Batch {
    begun: Vec<abi::Begun>,
    ended: Vec<abi::Ended>,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Slot").field("plugin", &self.plugin.config.name).finish_non_exhaustive()
    }
}

impl Slot {
    /// With a warm instance; where it does not start, the first call tries again and fails as its policy says.
    pub(crate) fn open(plugin: Arc<Inner>, _worker: &WorkerServices) -> Self {
        let phases = plugin.module.manifest.phases;
        let slot = Self {
            tally: plugin.identity.stats.tally(),
            plugin,
            live: RefCell::default(),
            buffers: RefCell::default(),
            failures: RefCell::default(),
            batch: RefCell::default(),
            retry_at: Cell::new(None),
            phases,
        };
        *slot.live.borrow_mut() = slot.plugin.start().ok();
        slot
    }

    /// Makes one call: on the warm instance or on a fresh one, timed, counted, and thrown away if it is broken.
    fn call<R>(&self, phase: Phase, call: impl FnOnce(&mut Instance) -> Result<R, Failure>) -> Result<R, Failure> {
        let Ok(mut live) = self.live.try_borrow_mut() else {
            return Err(Failure::Unavailable("it is in the middle of another call".into()));
        };
        let clock = &self.plugin.identity.services.clock;
        let stats = &self.plugin.identity.stats;
        let began = clock.now();
        let result = match &mut *live {
            Some(instance) => call(instance),
            None => self.fresh(began).and_then(|instance| call(live.insert(instance))),
        };
        let now = clock.now();
        self.tally.called(phase, now.saturating_duration_since(began));
        if let Some(instance) = &mut *live {
            instance.measure();
        }
        if let Err(failure) = &result {
            stats.failed(phase, failure);
            if !spares_the_instance(failure) {
                *live = None;
            }
            self.failures.borrow_mut().write(&self.plugin.config.name, phase.as_str(), failure, now);
        }
        result
    }

    /// A fresh instance. One that does not start is not tried again at once: the worker stands still while it starts.
    fn fresh(&self, now: Instant) -> Result<Instance, Failure> {
        if self.retry_at.get().is_some_and(|retry_at| now < retry_at) {
            return Err(Failure::Unavailable("its last fresh instance did not start".into()));
        }
        self.plugin.start().map_err(|error| {
            self.retry_at.set(Some(self.plugin.identity.services.clock.now() + RETRY_AFTER));
            unavailable(error)
        })
    }

    /// Lends the exchange to the instance for the time of one call: a swap of two boxes, both ways.
    fn with_exchange<R>(
        &self,
        phase: Phase,
        exchange: &mut Box<Exchange>,
        call: impl FnOnce(&mut Instance) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        self.call(phase, |instance| {
            mem::swap(exchange, &mut instance.store.data_mut().exchange);
            let result = call(instance);
            let state = instance.store.data_mut();
            mem::swap(exchange, &mut state.exchange);
            if result.is_ok() {
                state.before.forget()
            } else {
                state.before.restore(exchange)
            }
            result
        })
    }

    fn hand_over_begun(&self, batch: &mut Batch) {
        let events = mem::take(&mut batch.begun);
        if !events.is_empty() {
            let handed = self.call(Phase::Observe, |instance| match instance.begun {
                Some(begun) => instance.call(Phase::Observe, begun, (events.as_slice(),)),
                None => Ok(()),
            });
            drop(handed); // Counted and logged in `call`; an observer holds nothing up.
        }
        batch.begun = emptied(events);
    }

    fn hand_over_ended(&self, batch: &mut Batch) {
        let events = mem::take(&mut batch.ended);
        if !events.is_empty() {
            let handed = self.call(Phase::Observe, |instance| match instance.ended {
                Some(ended) => instance.call(Phase::Observe, ended, (events.as_slice(),)),
                None => Ok(()),
            });
            drop(handed);
        }
        batch.ended = emptied(events);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.plugin.identity.stats.retire(&self.tally);
    }
}

impl Filter for Slot {
    fn name(&self) -> &str {
        &self.plugin.config.name
    }

    fn phases(&self) -> Phases {
        self.phases
    }

    fn on_error(&self) -> Option<OnError> {
        self.plugin.on_error()
    }

    fn keeps_request(&self) -> bool {
        self.phases.has(Phase::Response) && self.plugin.module.manifest.reads_requests
    }

    fn connection(&self, connection: &contract::Connection) -> Result<contract::Admission, Failure> {
        self.call(Phase::Connection, |instance| {
            let Some(function) = instance.connection else { return Ok(contract::Admission::Accept) };
            match instance.call(Phase::Connection, function, (connection.into(),))?.0 {
                abi::Admission::Accept => Ok(contract::Admission::Accept),
                abi::Admission::Refuse => Ok(contract::Admission::Refuse),
                abi::Admission::Failed => Err(instance.reported()),
            }
        })
    }

    fn request(&self, exchange: &mut Box<Exchange>) -> Result<Flow, Failure> {
        self.with_exchange(Phase::Request, exchange, |instance| {
            let Some(function) = instance.request else { return Ok(Flow::Proceed) };
            let mut buffers = self.buffers.borrow_mut();
            let state = instance.store.data();
            let head = WireRequest::pack(&state.exchange, &state.hot_headers, &mut buffers.text);
            let verdict = instance.call(Phase::Request, function, (head,))?.0;
            flow(instance, verdict)
        })
    }

    fn response(&self, exchange: &mut Box<Exchange>) -> Result<Flow, Failure> {
        self.with_exchange(Phase::Response, exchange, |instance| {
            let Some(function) = instance.response else { return Ok(Flow::Proceed) };
            let head = instance.store.data().exchange.as_ref().into();
            let verdict = instance.call(Phase::Response, function, (head,))?.0;
            flow(instance, verdict)
        })
    }

    fn pick(
        &self,
        exchange: &mut Box<Exchange>,
        request: &PickRequest,
        candidates: &[Candidate],
    ) -> Result<Pick, Failure> {
        self.with_exchange(Phase::Balance, exchange, |instance| {
            let Some(function) = instance.pick else { return Ok(Pick::None) };
            let mut buffers = self.buffers.borrow_mut();
            buffers.candidates.clear();
            buffers.candidates.extend(candidates.iter().flat_map(abi::pack_candidate));
            let request = abi::PickRequest::new(&instance.store.data().exchange, request);
            match instance.call(Phase::Balance, function, (request, buffers.candidates.as_slice()))?.0 {
                Choice::Endpoint(index) => endpoint(index, candidates.len()),
                Choice::None => Ok(Pick::None),
                Choice::Failed => Err(instance.reported()),
            }
        })
    }

    fn begun(&self, begun: &contract::Begun) {
        let Ok(mut batch) = self.batch.try_borrow_mut() else { return };
        batch.begun.push(begun.into());
        if batch.begun.len() >= BATCH {
            self.hand_over_begun(&mut batch);
        }
    }

    fn ended(&self, ended: &contract::Ended) {
        let Ok(mut batch) = self.batch.try_borrow_mut() else { return };
        batch.ended.push(ended.into());
        if batch.ended.len() >= BATCH {
            // In order: whatever ended has begun.
            self.hand_over_begun(&mut batch);
            self.hand_over_ended(&mut batch);
        }
    }

    fn flush(&self) {
        let Ok(mut batch) = self.batch.try_borrow_mut() else { return };
        self.hand_over_begun(&mut batch);
        self.hand_over_ended(&mut batch);
    }
}

fn flow(instance: &mut Instance, verdict: Verdict) -> Result<Flow, Failure> {
    let state = instance.store.data_mut();
    let reply = state.reply.take();
    match verdict {
        Verdict::Proceed => Ok(Flow::Proceed),
        Verdict::Close => Ok(Flow::Close),
        Verdict::Failed => Err(instance.reported()),
        Verdict::Reply => reply
            .map(Flow::Reply)
            .ok_or_else(|| Failure::Absurd("the verdict is to reply, and no reply was prepared".into())),
    }
}

fn endpoint(index: u32, candidates: usize) -> Result<Pick, Failure> {
    match usize::try_from(index) {
        Ok(index) if index < candidates => Ok(Pick::Endpoint(index)),
        _ => Err(Failure::Absurd(format!("endpoint {index} was picked of {candidates}"))),
    }
}

fn unavailable(error: StartError) -> Failure {
    match error {
        StartError::Failed(failure) => Failure::Unavailable(format!("a fresh instance {failure}")),
        StartError::Refused(sentence) => {
            Failure::Unavailable(format!("a fresh instance refuses its settings: {sentence}"))
        }
        StartError::Type(message) => Failure::Unavailable(message),
    }
}

/// The same memory, for the next batch.
fn emptied<T>(mut events: Vec<T>) -> Vec<T> {
    events.clear();
    events
}
