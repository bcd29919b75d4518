//! The types of `fetch` and of filters that wait, as wasmtime passes them.

use palisade_contract as contract;
use wasmtime::component::{ComponentType, Lift, Lower, WasmList, WasmStr};

use crate::direct;
use crate::host::{Argument, Bytes, List, Str};

enumeration!(Progress {
    Proceed = "proceed", Reply = "reply", Close = "close", Failed = "failed", Wait = "wait",
});
enumeration!(FetchError {
    NotGranted = "not-granted", Invalid = "invalid", TooMany = "too-many", TooLarge = "too-large",
    Unreachable = "unreachable", Timeout = "timeout", Broken = "broken",
});

impl From<&contract::FetchError> for FetchError {
    fn from(error: &contract::FetchError) -> Self {
        match error {
            // The grant was checked against the configuration: what is not there any more is gone since a reload.
            contract::FetchError::NoUpstream(_) | contract::FetchError::Unreachable(_) => Self::Unreachable,
            contract::FetchError::Timeout(_) => Self::Timeout,
            contract::FetchError::TooLarge(_) => Self::TooLarge,
            contract::FetchError::Broken(_) => Self::Broken,
        }
    }
}

/// A request, as the component's runtime passes it.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct ComponentRequest {
    upstream: WasmStr,
    method: WasmStr,
    target: WasmList<u8>,
    authority: Option<WasmList<u8>>,
    headers: WasmList<(WasmStr, WasmList<u8>)>,
    body: WasmList<u8>,
    #[component(name = "timeout-millis")]
    timeout_millis: u32,
}

/// A request.
pub(crate) struct Request {
    pub(crate) upstream: Str,
    pub(crate) method: Str,
    pub(crate) target: Bytes,
    pub(crate) authority: Option<Bytes>,
    pub(crate) headers: List<(Str, Bytes)>,
    pub(crate) body: Bytes,
    pub(crate) timeout_millis: u32,
}

direct::lifted!(Request {
    upstream: Str, method: Str, target: Bytes, authority: Option<Bytes>, headers: List<(Str, Bytes)>, body: Bytes, timeout_millis: u32,
});

impl Argument for Request {
    type Component = ComponentRequest;

    fn of(lifted: ComponentRequest) -> Self {
        Self {
            upstream: Str::of(lifted.upstream),
            method: Str::of(lifted.method),
            target: Bytes::of(lifted.target),
            authority: lifted.authority.map(Bytes::of),
            headers: List::of(lifted.headers),
            body: Bytes::of(lifted.body),
            timeout_millis: lifted.timeout_millis,
        }
    }
}

direct::record! { lowered,
    #[derive(Debug, ComponentType, Lower)]
    #[component(record)]
    pub(crate) struct Response {
        pub(crate) status: u16,
        pub(crate) headers: Vec<(String, Vec<u8>)>,
        pub(crate) body: Vec<u8>,
    }
}
