//! What `request` and `response` have in common: reading and changing a header map.

use http::{HeaderMap, HeaderValue};
use palisade_contract::HeadError;

use super::{Bytes, Guest, Str};
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

/// A name and a value, copied out of the guest's memory; too large where they are larger than any head.
///
/// # Errors
/// Those of the guest's memory: it traps.
pub(super) fn field(
    guest: &Guest<'_>,
    name: &Str,
    value: &Bytes,
) -> wasmtime::Result<Result<(String, Vec<u8>), HeadError>> {
    let (name, value) = (text(guest, name)?, bytes(guest, value));
    Ok(name.and_then(|name| value.map(|value| (name, value))))
}

/// A text, as in [`field`].
pub(super) fn text(guest: &Guest<'_>, text: &Str) -> wasmtime::Result<Result<String, HeadError>> {
    let text = text.to_str(guest)?;
    Ok(if text.len() > FIELD_BYTES_MAX { Err(HeadError::TooLarge) } else { Ok(text.into_owned()) })
}

/// Bytes, as in [`field`].
pub(super) fn bytes(guest: &Guest<'_>, bytes: &Bytes) -> Result<Vec<u8>, HeadError> {
    if bytes.len() > FIELD_BYTES_MAX {
        return Err(HeadError::TooLarge);
    }
    Ok(bytes.as_slice(guest).to_owned())
}

/// No head is larger than this, whatever the configuration says.
const FIELD_BYTES_MAX: usize = 2 << 20;

/// What a change comes to, for the guest.
pub(super) fn changed(result: Result<(), HeadError>) -> Changed {
    (result.map_err(abi::HeadError::from),)
}
