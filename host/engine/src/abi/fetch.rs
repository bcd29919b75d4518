//! The types of `fetch` and of filters that wait, as wasmtime passes them.

use palisade_contract as contract;
use wasmtime::component::{ComponentType, Lift, Lower, WasmList, WasmStr};

enumeration!(lifted Progress {
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

/// Names and values.
pub(crate) type Fields = WasmList<(WasmStr, WasmList<u8>)>;

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Request {
    pub(crate) upstream: WasmStr,
    pub(crate) method: WasmStr,
    pub(crate) target: WasmList<u8>,
    pub(crate) authority: Option<WasmList<u8>>,
    pub(crate) headers: Fields,
    pub(crate) body: WasmList<u8>,
    #[component(name = "timeout-millis")]
    pub(crate) timeout_millis: u32,
}

#[derive(Debug, ComponentType, Lower)]
#[component(record)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}
