//! `palisade endpoints` and the admin listener's `/endpoints`: how endpoints are, and orders to leave one alone.

mod command;
mod figures;
mod table;

pub(crate) use command::Endpoints;
pub(crate) use figures::{Listed, for_metrics, list};

use std::net::SocketAddr;

use http::StatusCode;
use palisade_proxy::{EndpointOrder, UnknownEndpoint};

use crate::state::State;

/// Carries an order out that stands in a query, such as `upstream=web&endpoint=10.0.1.11:8443`.
///
/// # Errors
/// The status, and what is wrong with it.
pub(crate) fn ordered(state: &State, order: EndpointOrder, query: &str) -> Result<Listed, (StatusCode, String)> {
    let value = |key: &str| {
        let of_key = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == key);
        of_key.map(|(_, value)| decoded(value))
    };
    let (Some(upstream), Some(endpoint)) = (value("upstream"), value("endpoint")) else {
        return Err((StatusCode::BAD_REQUEST, "expected ?upstream=NAME&endpoint=ADDRESS\n".into()));
    };
    let Ok(address) = endpoint.parse::<SocketAddr>() else {
        let what = format!("{endpoint:?} is not an address: expected one such as 10.0.1.11:8443\n");
        return Err((StatusCode::BAD_REQUEST, what));
    };
    match state.proxy.order(&upstream, address, order) {
        Ok(_) => {}
        Err(UnknownEndpoint::Upstream) => {
            return Err((StatusCode::NOT_FOUND, format!("there is no upstream {upstream:?}\n")));
        }
        Err(UnknownEndpoint::Endpoint) => {
            return Err((StatusCode::NOT_FOUND, format!("upstream {upstream:?} has no endpoint {address}\n")));
        }
    }
    Ok(list(state))
}

/// The brackets of an IPv6 address, and whatever else is percent-encoded.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'%').then(|| after.get(..2)).flatten();
        let code = code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn what_is_encoded_is_decoded_once() {
        for (text, expected) in [
            ("web", "web"),
            ("%5B::1%5d:80", "[::1]:80"),
            ("%255B", "%5B"),
            ("%", "%"),
            ("%zz1", "%zz1"),
            ("a%4", "a%4"),
        ] {
            assert_eq!(decoded(text), expected);
        }
    }
}
