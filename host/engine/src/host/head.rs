//! What `request` and `response` have in common: reading and changing a header map.

use http::{HeaderMap, HeaderValue};
use palisade_contract::HeadError;
use wasmtime::component::{WasmList, WasmStr};

use super::Guest;
use crate::abi;

pub(super) type Headers = Vec<(String, Vec<u8>)>;
pub(super) type Changed = (Result<(), abi::HeadError>,);

/// All headers, with the values of a name together and in order.
pub(super) fn all(headers: &HeaderMap) -> Headers {
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_owned())).collect()
}

/// All values of a header.
pub(super) fn values(headers: &HeaderMap, name: &str) -> Vec<Vec<u8>> {
    headers.get_all(name).iter().map(|value| value.as_bytes().to_owned()).collect()
}

/// The first value of a header.
pub(super) fn first(headers: &HeaderMap, name: &str) -> Option<Vec<u8>> {
    headers.get(name).map(HeaderValue::as_bytes).map(<[u8]>::to_owned)
}

/// A name and a value, copied out of the guest's memory. Both are bounded before they are copied.
///
/// # Errors
/// Those of the guest's memory: it traps.
pub(super) fn field(guest: &Guest<'_>, name: &WasmStr, value: &WasmList<u8>) -> wasmtime::Result<(String, Vec<u8>)> {
    Ok((name.to_str(guest)?.into_owned(), value.as_le_slice(guest).to_owned()))
}

/// What a change comes to, for the guest.
pub(super) fn changed(result: Result<(), HeadError>) -> Changed {
    (result.map_err(abi::HeadError::from),)
}
