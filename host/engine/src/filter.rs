//! A plugin on one worker: what each phase calls, and how every call is timed, counted and cleaned up after.
//!
//! Which instance serves a call is the matter of [`Instances`].

use std::cell::{Cell, RefCell};
use std::mem;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use cpu_time::ThreadTime;
use palisade_config::Capability;
use palisade_contract::{
    self as contract, Candidate, Exchange, ExchangeId, Failure, Filter, Flow, OnError, Phase, Phases, Pick,
    PickRequest, Side, StreamWish, Wish, WorkerServices,
};

use crate::abi::{self, Choice, Verdict, WireRequest};
use crate::body;
use crate::events::Events;
use crate::failure::{FailureLog, spares_the_instance};
use crate::functions::RequestFunctions;
use crate::instance::Instance;
use crate::instances::Instances;
use crate::plugin::Inner;
use crate::state::Identity;
use crate::stats::Tally;
use crate::stream;
use crate::waiting::{Requests, Waiting, progressed};

/// A plugin on one worker.
pub(crate) struct Slot {
    plugin: Arc<Inner>,
    /// The plugin's: every call looks at it.
    identity: Arc<Identity>,
    instances: Instances,
    tally: Arc<Tally>,
    buffers: RefCell<Buffers>,
    failures: RefCell<FailureLog>,
    events: RefCell<Events>,
    waiting: Waiting,
    worker: WorkerServices,
    /// Bodies on their way through it.
    bodies: Cell<usize>,
    /// Bytes of bodies that are buffered for it.
    buffered: Cell<usize>,
    phases: Phases,
    /// The last of an exchange's phases that it has.
    last: Option<Phase>,
}

/// What calls are packed into, kept so that no call allocates.
#[derive(Default)]
struct Buffers {
    text: Vec<u8>,
    candidates: Vec<u64>,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Slot").field("plugin", &self.plugin.config.name).finish_non_exhaustive()
    }
}

impl Slot {
    /// With a warm instance; where it does not start, the first call tries again and fails as its policy says.
    pub(crate) fn open(plugin: Arc<Inner>, worker: &WorkerServices) -> Self {
        let phases = plugin.module.manifest.phases;
        Self {
            instances: Instances::warm(plugin.clone()),
            tally: plugin.identity.stats.tally(),
            buffers: RefCell::default(),
            failures: RefCell::default(),
            events: RefCell::default(),
            waiting: Waiting::default(),
            worker: worker.clone(),
            bodies: Cell::new(0),
            buffered: Cell::new(0),
            phases,
            last: phases
                .iter()
                .filter(|phase| !matches!(phase, Phase::Connection | Phase::Observe | Phase::Tick))
                .last(),
            identity: plugin.identity.clone(),
            plugin,
        }
    }

    /// Makes one call about this exchange, or about none: timed and counted, on an instance that is thrown away if the call
    /// breaks it.
    pub(crate) fn call<R>(
        &self,
        phase: Phase,
        exchange: Option<ExchangeId>,
        call: impl FnOnce(&mut Instance) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        self.admitted(phase)?;
        self.run(phase, exchange, call)
    }

    /// Whether something new may be begun with the plugin.
    fn admitted(&self, phase: Phase) -> Result<(), Failure> {
        let Identity { services, backoff, .. } = self.identity.as_ref();
        if backoff.is_clear() {
            return Ok(());
        }
        backoff.admits(services.clock.now()).map_err(|left| {
            let left = format!("it keeps failing and is left alone for {} ms more", left.as_millis());
            self.failed(phase, Failure::Unavailable(left))
        })
    }

    /// As [`Slot::call`], for what an instance has begun: a plugin that is left alone meanwhile still ends it.
    pub(crate) fn run<R>(
        &self,
        phase: Phase,
        exchange: Option<ExchangeId>,
        call: impl FnOnce(&mut Instance) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let Identity { services, backoff, .. } = self.identity.as_ref();
        let began = services.clock.now();
        let processor = self.tally.samples(phase).then(ThreadTime::try_now).and_then(Result::ok);
        let result = self.instances.take(exchange, began).and_then(|mut instance| {
            let result = call(&mut instance);
            instance.measure();
            if result.as_ref().err().is_none_or(spares_the_instance) {
                backoff.went_well();
                self.instances.put_back(exchange, instance);
            } else {
                self.identity.broke(services.clock.now());
            }
            result
        });
        let processor = processor.and_then(|began| began.try_elapsed().ok());
        self.tally.called(phase, services.clock.now().saturating_duration_since(began), processor);
        result.map_err(|failure| self.failed(phase, failure))
    }

    /// Counts a decision that ends an exchange, or a connection.
    pub(crate) fn denied(&self, phase: Phase) {
        self.tally.denied(phase);
    }

    /// Counts and logs a failure.
    pub(crate) fn failed(&self, phase: Phase, failure: Failure) -> Failure {
        let Identity { services, stats, .. } = self.identity.as_ref();
        stats.failed(phase, &failure);
        self.failures.borrow_mut().write(&self.plugin.config.name, phase.as_str(), &failure, services.clock.now());
        failure
    }

    /// Whether a call about this exchange would go to this very instance.
    pub(crate) fn has_instance(&self, exchange: ExchangeId, number: u64) -> bool {
        self.instances.has(exchange, number)
    }

    /// What the worker has for the plugin.
    pub(crate) fn worker(&self) -> &WorkerServices {
        &self.worker
    }

    /// How long a body may be that is buffered, and what takes the place of a piece.
    pub(crate) fn body_bytes_max(&self) -> usize {
        self.plugin.config.limits.body_bytes
    }

    /// A body begins its way through it, or ends it.
    pub(crate) fn body_begins(&self) {
        self.bodies.set(self.bodies.get() + 1);
    }

    pub(crate) fn body_ends(&self) {
        self.bodies.set(self.bodies.get().saturating_sub(1));
    }

    /// This many more bytes of bodies are buffered.
    ///
    /// # Errors
    /// There would be more than the plugin may have at a time.
    pub(crate) fn buffer(&self, bytes: usize) -> Result<(), Failure> {
        let (all, bytes_max) = (self.buffered.get().saturating_add(bytes), self.plugin.config.limits.bodies_bytes);
        if all > bytes_max {
            return Err(Failure::Unavailable(format!("{bytes_max} bytes of bodies are buffered for it already")));
        }
        self.buffered.set(all);
        Ok(())
    }

    pub(crate) fn unbuffer(&self, bytes: usize) {
        self.buffered.set(self.buffered.get().saturating_sub(bytes));
    }

    /// Lends the exchange to the instance for the time of one call: a swap of two boxes, both ways.
    pub(crate) fn with_exchange<R>(
        &self,
        phase: Phase,
        exchange: &mut Box<Exchange>,
        call: impl FnOnce(&mut Instance) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        self.admitted(phase)?;
        self.go_on(phase, exchange, call)
    }

    /// As [`Slot::with_exchange`], for what an instance has begun.
    pub(crate) fn go_on<R>(
        &self,
        phase: Phase,
        exchange: &mut Box<Exchange>,
        call: impl FnOnce(&mut Instance) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        self.run(phase, Some(exchange.id), |instance| {
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

    /// What a phase decided that an exchange passes once: an instance of its own goes where no phase is left for it.
    fn passed(&self, phase: Phase, exchange: ExchangeId, decided: Result<Flow, Failure>) -> Result<Flow, Failure> {
        if matches!(decided, Ok(Flow::Reply(_) | Flow::Close)) {
            self.denied(phase);
        }
        if self.last == Some(phase) && self.instances.isolates() && !matches!(decided, Ok(Flow::Wait)) {
            self.instances.left(exchange);
        }
        decided
    }

    fn hand_over_begun(&self, events: &mut Events) {
        events.hand_over_begun(|begun| {
            let handed = self.call(Phase::Observe, None, |instance| match instance.functions.begun {
                Some(function) => instance.call(Phase::Observe, function, (begun,)),
                None => Ok(()),
            });
            drop(handed); // Counted and logged in `call`; an observer holds nothing up.
        });
    }

    fn hand_over_ended(&self, events: &mut Events) {
        events.hand_over_ended(|ended| {
            let handed = self.call(Phase::Observe, None, |instance| match instance.functions.ended {
                Some(function) => instance.call(Phase::Observe, function, (ended,)),
                None => Ok(()),
            });
            drop(handed);
        });
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.identity.stats.retire(&self.tally);
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
        let after_forwarding = self.phases.has(Phase::Response) || self.phases.has(Phase::ResponseBody);
        after_forwarding && self.plugin.module.manifest.reads_requests
    }

    fn reads_tls(&self) -> bool {
        self.plugin.module.manifest.asks.contains(&Capability::Tls)
    }

    fn connection(&self, connection: &contract::Connection) -> Result<contract::Admission, Failure> {
        self.call(Phase::Connection, None, |instance| {
            let Some(function) = instance.functions.connection else { return Ok(contract::Admission::Accept) };
            instance.store.data_mut().tls.clone_from(&connection.tls);
            let admission = instance.call(Phase::Connection, function, (connection.into(),));
            instance.store.data_mut().tls = None;
            match admission?.0 {
                abi::Admission::Accept => Ok(contract::Admission::Accept),
                abi::Admission::Refuse => {
                    self.denied(Phase::Connection);
                    Ok(contract::Admission::Refuse)
                }
                abi::Admission::Failed => Err(instance.reported()),
            }
        })
    }

    fn request(&self, exchange: &mut Box<Exchange>) -> Result<Flow, Failure> {
        let decided = self.with_exchange(Phase::Request, exchange, |instance| {
            let Some(functions) = instance.functions.request else { return Ok(Flow::Proceed) };
            let mut buffers = self.buffers.borrow_mut();
            let state = instance.store.data();
            let head = WireRequest::pack(&state.exchange, &state.hot_headers, &mut buffers.text);
            match functions {
                RequestFunctions::Sync(on_request) => {
                    let verdict = instance.call(Phase::Request, on_request, (head,))?.0;
                    flow(instance, verdict)
                }
                RequestFunctions::Async { on_request, .. } => {
                    let progress = instance.call(Phase::Request, on_request, (head,))?.0;
                    let (flow, wait) = progressed(instance, progress, Requests::default(), &self.worker)?;
                    self.waiting.put(instance.store.data().exchange.id, wait);
                    Ok(flow)
                }
            }
        });
        self.passed(Phase::Request, exchange.id, decided)
    }

    fn response(&self, exchange: &mut Box<Exchange>) -> Result<Flow, Failure> {
        let decided = self.with_exchange(Phase::Response, exchange, |instance| {
            let Some(function) = instance.functions.response else { return Ok(Flow::Proceed) };
            let head = instance.store.data().exchange.as_ref().into();
            let verdict = instance.call(Phase::Response, function, (head,))?.0;
            flow(instance, verdict)
        });
        self.passed(Phase::Response, exchange.id, decided)
    }

    fn body(self: Rc<Self>, side: Side, exchange: &mut Box<Exchange>, announced: Option<u64>) -> Result<Wish, Failure> {
        body::ask(self, side, exchange, announced)
    }

    fn stream(self: Rc<Self>, exchange: &mut Box<Exchange>) -> Result<StreamWish, Failure> {
        stream::ask(self, exchange)
    }

    fn resume(
        &self,
        _phase: Phase,
        exchange: &mut Box<Exchange>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Flow, Failure>> {
        let decided = ready!(self.waiting.poll(self, exchange, context));
        Poll::Ready(self.passed(Phase::Request, exchange.id, decided))
    }

    fn keeps_exchanges(&self) -> bool {
        self.instances.isolates() || self.plugin.module.manifest.waits
    }

    fn left(&self, exchange: ExchangeId) {
        if let Some(wait) = self.waiting.forget(exchange)
            && self.has_instance(exchange, wait.instance())
        {
            let told = self.run(Phase::Request, Some(exchange), |instance| {
                wait.forgotten(instance);
                let Some(RequestFunctions::Async { on_left, .. }) = instance.functions.request else { return Ok(()) };
                instance.call(Phase::Request, on_left, (exchange.0,))
            });
            drop(told); // Counted and logged in `call`; there is nobody left to be told.
        }
        self.instances.left(exchange);
    }

    fn pick(
        &self,
        exchange: &mut Box<Exchange>,
        request: &PickRequest,
        candidates: &[Candidate],
    ) -> Result<Pick, Failure> {
        self.with_exchange(Phase::Balance, exchange, |instance| {
            let Some(function) = instance.functions.pick else { return Ok(Pick::None) };
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
        let Ok(mut events) = self.events.try_borrow_mut() else { return };
        if events.began(begun) {
            self.hand_over_begun(&mut events);
        }
    }

    fn ended(&self, ended: &contract::Ended) {
        let Ok(mut events) = self.events.try_borrow_mut() else { return };
        if events.ended(ended) {
            // In order: whatever ended has begun.
            self.hand_over_begun(&mut events);
            self.hand_over_ended(&mut events);
        }
    }

    fn tick_interval(&self) -> Option<Duration> {
        self.identity.tick_interval.get().copied().filter(|_| self.phases.has(Phase::Tick))
    }

    fn tick(&self) {
        let ticked = self.call(Phase::Tick, None, |instance| match instance.functions.tick {
            Some(function) => instance.call(Phase::Tick, function, ()),
            None => Ok(()),
        });
        drop(ticked); // Counted and logged in `call`; nothing waits for it.
    }

    fn flush(&self) {
        let Ok(mut events) = self.events.try_borrow_mut() else { return };
        self.hand_over_begun(&mut events);
        self.hand_over_ended(&mut events);
        // What it keeps for exchanges under way, it keeps.
        if self.bodies.get() == 0 && self.waiting.is_empty() {
            self.instances.release_idle(self.identity.services.clock.now());
        }
    }
}

fn flow(instance: &mut Instance, verdict: Verdict) -> Result<Flow, Failure> {
    match verdict {
        Verdict::Proceed => Ok(Flow::Proceed),
        Verdict::Close => Ok(Flow::Close),
        Verdict::Failed => Err(instance.reported()),
        Verdict::Reply => instance.reply().map(Flow::Reply),
    }
}

fn endpoint(index: u32, candidates: usize) -> Result<Pick, Failure> {
    match usize::try_from(index) {
        Ok(index) if index < candidates => Ok(Pick::Endpoint(index)),
        _ => Err(Failure::Absurd(format!("endpoint {index} was picked of {candidates}"))),
    }
}
