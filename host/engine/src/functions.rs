//! The functions of an instance, ready to be called, by whichever executor it runs.

use wasmtime::Store;
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, Lift, Lower, TypedFunc};

use crate::abi::body::{PieceVerdict, RequestBody, ResponseBody, Wish};
use crate::abi::fetch::Progress;
use crate::abi::stream::{Direction, Opened, StreamVerdict, StreamWish};
use crate::abi::{self, Admission, Choice, Verdict, WireRequest, WireResponse};
use crate::direct;
use crate::instance::StartError;
use crate::module::{BodyExports, Exports, RequestExports, StreamExports};
use crate::state::State;

/// What a guest's function is called with.
pub(crate) trait Arguments: ComponentNamedList + Lower + direct::Arguments {}

impl<P: ComponentNamedList + Lower + direct::Arguments> Arguments for P {}

/// What it gives.
pub(crate) trait Outcome: ComponentNamedList + Lift + direct::Outcome {}

impl<R: ComponentNamedList + Lift + direct::Outcome> Outcome for R {}

/// One function of an instance.
pub(crate) enum Function<P, R> {
    Component(TypedFunc<P, R>),
    Direct(direct::Function<P, R>),
}

impl<P, R> Clone for Function<P, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P, R> Copy for Function<P, R> {}

impl<P: Arguments, R: Outcome> Function<P, R> {
    /// # Errors
    /// The guest traps.
    #[inline]
    pub(crate) fn call(self, store: &mut Store<State>, arguments: P) -> wasmtime::Result<R> {
        match self {
            Self::Component(function) => function.call(store, arguments),
            Self::Direct(function) => function.call(store, &arguments),
        }
    }
}

type PickFunction = Function<(abi::PickRequest, &'static [u64]), (Choice,)>;

/// The functions of a filter of requests.
#[derive(Clone, Copy)]
pub(crate) enum RequestFunctions {
    /// One that decides at once.
    Sync(Function<(WireRequest<'static>,), (Verdict,)>),
    /// One that may wait.
    Async {
        on_request: Function<(WireRequest<'static>,), (Progress,)>,
        resume: Function<(u64,), (Progress,)>,
        on_left: OnLeft,
    },
}

/// The functions of one filter of bodies; `B` is what it is told of a body before it comes.
#[derive(Clone, Copy)]
pub(crate) struct BodyFunctions<B> {
    pub(crate) on_body: Function<(B,), (Wish,)>,
    pub(crate) on_piece: OnPiece,
    pub(crate) on_left: OnLeft,
}

/// The functions of a filter of streams.
#[derive(Clone, Copy)]
pub(crate) struct StreamFunctions {
    pub(crate) on_open: Function<(Opened,), (StreamWish,)>,
    pub(crate) on_bytes: OnBytes,
    pub(crate) on_left: OnLeft,
}

pub(crate) type OnBytes = Function<(u64, Direction, &'static [u8], bool), (StreamVerdict,)>;
pub(crate) type OnPiece = Function<(u64, &'static [u8], bool), (PieceVerdict,)>;
pub(crate) type OnLeft = Function<(u64,), ()>;

/// The functions of all phases that a plugin has.
#[derive(Clone, Copy)]
pub(crate) struct Functions {
    pub(crate) connection: Option<Function<(abi::Connection,), (Admission,)>>,
    pub(crate) request: Option<RequestFunctions>,
    pub(crate) request_body: Option<BodyFunctions<RequestBody>>,
    pub(crate) response: Option<Function<(WireResponse,), (Verdict,)>>,
    pub(crate) response_body: Option<BodyFunctions<ResponseBody>>,
    pub(crate) stream: Option<StreamFunctions>,
    pub(crate) pick: Option<PickFunction>,
    pub(crate) begun: Option<Function<(&'static [abi::Begun],), ()>>,
    pub(crate) ended: Option<Function<(&'static [abi::Ended],), ()>>,
    pub(crate) tick: Option<Function<(), ()>>,
}

/// The functions of `lifecycle`, which are called when an instance is new.
#[derive(Clone, Copy)]
pub(crate) struct Lifecycle {
    pub(crate) configure: Function<(&'static str,), (Result<(), String>,)>,
    pub(crate) settings_schema: Function<(), (String,)>,
}

/// An instance in which functions are found.
pub(crate) trait Exporting {
    /// Where a function is.
    type Export: Copy;

    /// # Errors
    /// The function has another type.
    fn function<P: Arguments, R: Outcome>(
        &self,
        store: &mut Store<State>,
        export: Self::Export,
    ) -> wasmtime::Result<Function<P, R>>;
}

impl Exporting for wasmtime::component::Instance {
    type Export = ComponentExportIndex;

    fn function<P: Arguments, R: Outcome>(
        &self,
        store: &mut Store<State>,
        export: ComponentExportIndex,
    ) -> wasmtime::Result<Function<P, R>> {
        self.get_typed_func(store, export).map(Function::Component)
    }
}

impl Exporting for wasmtime::Instance {
    type Export = direct::Export;

    fn function<P: Arguments, R: Outcome>(
        &self,
        store: &mut Store<State>,
        export: direct::Export,
    ) -> wasmtime::Result<Function<P, R>> {
        export.of(self, store).map(Function::Direct)
    }
}

impl Functions {
    /// # Errors
    /// An export has another type than the contract's.
    pub(crate) fn of<I: Exporting>(
        store: &mut Store<State>,
        instance: &I,
        exports: &Exports<I::Export>,
    ) -> Result<Self, StartError> {
        Ok(Self {
            connection: find(store, instance, exports.connection, "connection-filter.on-connection")?,
            request: exports.request.map(|exports| find_request(store, instance, exports)).transpose()?,
            request_body: find_body(store, instance, exports.request_body, "request-body-filter")?,
            response: find(store, instance, exports.response, "response-filter.on-response")?,
            response_body: find_body(store, instance, exports.response_body, "response-body-filter")?,
            stream: exports.stream.map(|exports| find_stream(store, instance, exports)).transpose()?,
            pick: find(store, instance, exports.pick, "balancer.pick")?,
            begun: find(store, instance, exports.begun, "observer.on-begun")?,
            ended: find(store, instance, exports.ended, "observer.on-ended")?,
            tick: find(store, instance, exports.tick, "ticker.on-tick")?,
        })
    }
}

/// # Errors
/// An export has another type than the contract's.
pub(crate) fn lifecycle<I: Exporting>(
    store: &mut Store<State>,
    instance: &I,
    exports: &Exports<I::Export>,
) -> Result<Lifecycle, StartError> {
    Ok(Lifecycle {
        configure: find_one(store, instance, exports.configure, "lifecycle.configure")?,
        settings_schema: find_one(store, instance, exports.settings_schema, "lifecycle.settings-schema")?,
    })
}

fn find<I: Exporting, P: Arguments, R: Outcome>(
    store: &mut Store<State>,
    instance: &I,
    export: Option<I::Export>,
    name: &str,
) -> Result<Option<Function<P, R>>, StartError> {
    export.map(|export| find_one(store, instance, export, name)).transpose()
}

fn find_request<I: Exporting>(
    store: &mut Store<State>,
    instance: &I,
    exports: RequestExports<I::Export>,
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

fn find_body<I: Exporting, B>(
    store: &mut Store<State>,
    instance: &I,
    exports: Option<BodyExports<I::Export>>,
    interface: &str,
) -> Result<Option<BodyFunctions<B>>, StartError>
where
    (B,): Arguments,
{
    let Some(BodyExports { on_body, on_piece, on_left }) = exports else { return Ok(None) };
    Ok(Some(BodyFunctions {
        on_body: find_one(store, instance, on_body, &format!("{interface}.on-body"))?,
        on_piece: find_one(store, instance, on_piece, &format!("{interface}.on-piece"))?,
        on_left: find_one(store, instance, on_left, &format!("{interface}.on-left"))?,
    }))
}

fn find_stream<I: Exporting>(
    store: &mut Store<State>,
    instance: &I,
    StreamExports { on_open, on_bytes, on_left }: StreamExports<I::Export>,
) -> Result<StreamFunctions, StartError> {
    Ok(StreamFunctions {
        on_open: find_one(store, instance, on_open, "stream-filter.on-open")?,
        on_bytes: find_one(store, instance, on_bytes, "stream-filter.on-bytes")?,
        on_left: find_one(store, instance, on_left, "stream-filter.on-left")?,
    })
}

fn find_one<I: Exporting, P: Arguments, R: Outcome>(
    store: &mut Store<State>,
    instance: &I,
    export: I::Export,
    name: &str,
) -> Result<Function<P, R>, StartError> {
    let found = instance.function(store, export);
    found.map_err(|error| StartError::Type(format!("{name} has another type: {error:#}")))
}
