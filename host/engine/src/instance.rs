//! Live memory: one instance of a configured plugin, and its functions.

use std::sync::Arc;
use std::time::Duration;

use palisade_config::PluginLimits;
use palisade_contract::{Failure, Phase, Reply};
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, Lift, Lower, TypedFunc};
use wasmtime::{Store, component};

use crate::abi::body::{PieceVerdict, RequestBody, ResponseBody, Wish};
use crate::abi::fetch::Progress;
use crate::abi::stream::{Direction, Opened, StreamVerdict, StreamWish};
use crate::abi::{self, Admission, Choice, Verdict, WireRequest, WireResponse};
use crate::failure;
use crate::image::Setup;
use crate::module::{BodyExports, Code, RequestExports, StreamExports};
use crate::pool;
use crate::runtime::ticks;
use crate::state::{Identity, Stage, State};

/// Bytes that one host call may copy out of a guest: lists can claim far more than the guest has.
const HOST_CALL_BYTES_MAX: usize = 16 << 20;

type PickFunction = TypedFunc<(abi::PickRequest, &'static [u64]), (Choice,)>;

/// The functions of a filter of requests.
#[derive(Clone, Copy)]
pub(crate) enum RequestFunctions {
    /// One that decides at once.
    Sync(TypedFunc<(WireRequest<'static>,), (Verdict,)>),
    /// One that may wait.
    Async {
        on_request: TypedFunc<(WireRequest<'static>,), (Progress,)>,
        resume: TypedFunc<(u64,), (Progress,)>,
        on_left: OnLeft,
    },
}

/// The functions of one filter of bodies; `B` is what it is told of a body before it comes.
#[derive(Clone, Copy)]
pub(crate) struct BodyFunctions<B> {
    pub(crate) on_body: TypedFunc<(B,), (Wish,)>,
    pub(crate) on_piece: OnPiece,
    pub(crate) on_left: OnLeft,
}

/// The functions of a filter of streams.
#[derive(Clone, Copy)]
pub(crate) struct StreamFunctions {
    pub(crate) on_open: TypedFunc<(Opened,), (StreamWish,)>,
    pub(crate) on_bytes: OnBytes,
    pub(crate) on_left: OnLeft,
}

pub(crate) type OnBytes = TypedFunc<(u64, Direction, &'static [u8], bool), (StreamVerdict,)>;
pub(crate) type OnPiece = TypedFunc<(u64, &'static [u8], bool), (PieceVerdict,)>;
pub(crate) type OnLeft = TypedFunc<(u64,), ()>;

/// One instance of a plugin: its memory, and its functions ready to be called.
pub(crate) struct Instance {
    pub(crate) store: Store<State>,
    /// Which of the plugin's instances it is: no other one ever has the same number.
    pub(crate) number: u64,
    pub(crate) connection: Option<TypedFunc<(abi::Connection,), (Admission,)>>,
    pub(crate) request: Option<RequestFunctions>,
    pub(crate) request_body: Option<BodyFunctions<RequestBody>>,
    pub(crate) response: Option<TypedFunc<(WireResponse,), (Verdict,)>>,
    pub(crate) response_body: Option<BodyFunctions<ResponseBody>>,
    pub(crate) stream: Option<StreamFunctions>,
    pub(crate) pick: Option<PickFunction>,
    pub(crate) begun: Option<TypedFunc<(&'static [abi::Begun],), ()>>,
    pub(crate) ended: Option<TypedFunc<(&'static [abi::Ended],), ()>>,
    pub(crate) tick: Option<TypedFunc<(), ()>>,
    pub(crate) raw: component::Instance,
    limits: PluginLimits,
    deadline_ticks: u64,
    memory_bytes: usize,
}

/// Why there is no instance.
pub(crate) enum StartError {
    /// It failed while it started or was configured.
    Failed(Failure),
    /// It refuses its settings, with this sentence.
    Refused(String),
    /// An export has another type than the contract's.
    Type(String),
    /// It was to be in the pool, and no slot there is free.
    PoolIsFull,
}

impl Instance {
    /// Instantiates the code and configures the instance, each within the limits.
    pub(crate) fn configured(
        code: &Code,
        identity: &Arc<Identity>,
        limits: PluginLimits,
        settings: &str,
    ) -> Result<Self, StartError> {
        let mut instance = Self::instantiate(code, identity, limits)?;
        let configure = find_one::<(&str,), (Result<(), String>,)>(
            &mut instance.store,
            &instance.raw,
            code.exports.configure,
            "lifecycle.configure",
        )?;
        instance.store.data_mut().stage = Stage::Configure;
        instance.store.set_epoch_deadline(ticks(limits.configure_deadline));
        let configured = configure.call(&mut instance.store, (settings,));
        instance.store.data_mut().stage = Stage::Idle;
        instance.measure();
        match configured {
            Ok((Ok(()),)) => Ok(instance),
            Ok((Err(sentence),)) => Err(StartError::Refused(sentence)),
            Err(error) => Err(StartError::Failed(instance.failure(&error, limits.configure_deadline))),
        }
    }

    /// Instantiates code that is as `configure` left it, and declares what it declared.
    pub(crate) fn of_image(
        code: &Code,
        identity: &Arc<Identity>,
        limits: PluginLimits,
        setup: &Setup,
    ) -> Result<Self, StartError> {
        let mut instance = Self::instantiate(code, identity, limits)?;
        setup.repeat(instance.store.data_mut()).map_err(StartError::Refused)?;
        instance.measure();
        Ok(instance)
    }

    /// The plugin's settings schema, as it tells it before it is configured.
    pub(crate) fn settings_schema(
        code: &Code,
        identity: &Arc<Identity>,
        limits: PluginLimits,
    ) -> Result<String, StartError> {
        let mut instance = Self::instantiate(code, identity, limits)?;
        let schema = find_one::<(), (String,)>(
            &mut instance.store,
            &instance.raw,
            code.exports.settings_schema,
            "lifecycle.settings-schema",
        )?;
        instance.store.set_epoch_deadline(ticks(limits.configure_deadline));
        schema
            .call(&mut instance.store, ())
            .map(|(schema,)| schema)
            .map_err(|error| StartError::Failed(instance.failure(&error, limits.configure_deadline)))
    }

    fn instantiate(code: &Code, identity: &Arc<Identity>, limits: PluginLimits) -> Result<Self, StartError> {
        let mut store = Store::new(code.pre.engine(), State::new(identity, limits));
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(HOST_CALL_BYTES_MAX);
        store.set_epoch_deadline(ticks(limits.configure_deadline));
        let raw = code.pre.instantiate(&mut store).map_err(|error| {
            if pool::is_full(&error) {
                return StartError::PoolIsFull;
            }
            let state = store.data_mut();
            StartError::Failed(failure::of(&error, state, limits.configure_deadline, limits.memory_bytes))
        })?;
        let exports = &code.exports;
        let connection = find(&mut store, &raw, exports.connection, "connection-filter.on-connection")?;
        let request = exports.request.map(|exports| find_request(&mut store, &raw, exports)).transpose()?;
        store.data_mut().can_wait = matches!(request, Some(RequestFunctions::Async { .. }));
        let request_body = find_body(&mut store, &raw, exports.request_body, "request-body-filter")?;
        let response = find(&mut store, &raw, exports.response, "response-filter.on-response")?;
        let response_body = find_body(&mut store, &raw, exports.response_body, "response-body-filter")?;
        let stream = exports.stream.map(|exports| find_stream(&mut store, &raw, exports)).transpose()?;
        let pick = find(&mut store, &raw, exports.pick, "balancer.pick")?;
        let begun = find(&mut store, &raw, exports.begun, "observer.on-begun")?;
        let ended = find(&mut store, &raw, exports.ended, "observer.on-ended")?;
        let tick = find(&mut store, &raw, exports.tick, "ticker.on-tick")?;
        let deadline_ticks = ticks(limits.deadline);
        Ok(Self {
            store,
            number: identity.stats.instance_made(),
            connection,
            request,
            request_body,
            response,
            response_body,
            stream,
            pick,
            begun,
            ended,
            tick,
            limits,
            deadline_ticks,
            memory_bytes: 0,
            raw,
        })
    }

    /// Calls one of the functions for a phase, within the deadline of a call.
    pub(crate) fn call<P, R>(&mut self, phase: Phase, function: TypedFunc<P, R>, arguments: P) -> Result<R, Failure>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        self.store.set_epoch_deadline(self.deadline_ticks);
        self.store.data_mut().stage = Stage::Phase(phase);
        // What an earlier call prepared and did not send is not this one's to send.
        self.store.data_mut().reply = None;
        let result = function.call(&mut self.store, arguments);
        self.store.data_mut().stage = Stage::Idle;
        match result {
            Ok(result) => Ok(result),
            Err(error) => Err(self.failure(&error, self.limits.deadline)),
        }
    }

    /// The reply that the guest prepared, for a call that said to send it.
    ///
    /// # Errors
    /// It prepared none.
    pub(crate) fn reply(&mut self) -> Result<Reply, Failure> {
        let absurd = || Failure::Absurd("the verdict is to reply, and no reply was prepared".into());
        self.store.data_mut().reply.take().ok_or_else(absurd)
    }

    /// The sentence that the guest reported, for a call that said that it failed.
    pub(crate) fn reported(&mut self) -> Failure {
        Failure::Reported(self.store.data_mut().fault.take().unwrap_or_else(|| "without a reason".into()))
    }

    /// Brings the plugin's memory figure up to date with this instance.
    pub(crate) fn measure(&mut self) {
        let state = self.store.data();
        let now = state.limiter.memory_bytes();
        if now != self.memory_bytes {
            state.identity.stats.memory_changed(self.memory_bytes, now);
            self.memory_bytes = now;
        }
    }

    fn failure(&mut self, error: &wasmtime::Error, deadline: Duration) -> Failure {
        failure::of(error, self.store.data_mut(), deadline, self.limits.memory_bytes)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let stats = &self.store.data().identity.stats;
        stats.memory_changed(self.memory_bytes, 0);
        stats.instance_gone();
    }
}

fn find<P, R>(
    store: &mut Store<State>,
    instance: &component::Instance,
    export: Option<ComponentExportIndex>,
    name: &str,
) -> Result<Option<TypedFunc<P, R>>, StartError>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    export.map(|export| find_one(store, instance, export, name)).transpose()
}

fn find_request(
    store: &mut Store<State>,
    instance: &component::Instance,
    exports: RequestExports,
) -> Result<RequestFunctions, StartError> {
    Ok(match exports {
        RequestExports::Sync(on_request) => {
            RequestFunctions::Sync(find_one(store, instance, on_request, "request-filter.on-request")?)
        }
        RequestExports::Async { on_request, resume, on_left } => RequestFunctions::Async {
            on_request: find_one(store, instance, on_request, "async-request-filter.on-request")?,
            resume: find_one(store, instance, resume, "async-request-filter.resume")?,
            on_left: find_one(store, instance, on_left, "async-request-filter.on-left")?,
        },
    })
}

fn find_body<B>(
    store: &mut Store<State>,
    instance: &component::Instance,
    exports: Option<BodyExports>,
    interface: &str,
) -> Result<Option<BodyFunctions<B>>, StartError>
where
    (B,): ComponentNamedList + Lower,
{
    let Some(BodyExports { on_body, on_piece, on_left }) = exports else { return Ok(None) };
    Ok(Some(BodyFunctions {
        on_body: find_one(store, instance, on_body, &format!("{interface}.on-body"))?,
        on_piece: find_one(store, instance, on_piece, &format!("{interface}.on-piece"))?,
        on_left: find_one(store, instance, on_left, &format!("{interface}.on-left"))?,
    }))
}

fn find_stream(
    store: &mut Store<State>,
    instance: &component::Instance,
    StreamExports { on_open, on_bytes, on_left }: StreamExports,
) -> Result<StreamFunctions, StartError> {
    Ok(StreamFunctions {
        on_open: find_one(store, instance, on_open, "stream-filter.on-open")?,
        on_bytes: find_one(store, instance, on_bytes, "stream-filter.on-bytes")?,
        on_left: find_one(store, instance, on_left, "stream-filter.on-left")?,
    })
}

fn find_one<P, R>(
    store: &mut Store<State>,
    instance: &component::Instance,
    export: ComponentExportIndex,
    name: &str,
) -> Result<TypedFunc<P, R>, StartError>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    instance
        .get_typed_func(&mut *store, export)
        .map_err(|error| StartError::Type(format!("{name} has another type: {error:#}")))
}
