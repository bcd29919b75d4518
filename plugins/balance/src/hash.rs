//! What a request has in common with its siblings (a header, a cookie, the client), in; its number for consistent
//! hashing, out.

use std::net::IpAddr;

use palisade_sdk::{Candidate, PickRequest};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::generator::mix;

/// What requests that belong to one endpoint have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HashOn {
    /// The client's address.
    #[default]
    Client,
    /// The first value of this header.
    Header(HeaderName),
    /// The first cookie of this name.
    Cookie(CookieName),
}

impl HashOn {
    /// The number; none where the request has no such header or cookie, or an empty one.
    pub(crate) fn number(&self, request: &PickRequest) -> Option<u64> {
        match self {
            Self::Client => Some(hash_address(request.client())),
            Self::Header(name) => request.header(&name.0).filter(|value| !value.is_empty()).map(|value| hash(&value)),
            Self::Cookie(name) => {
                request.cookie(&name.0).filter(|value| !value.is_empty()).map(|value| hash(value.as_bytes()))
            }
        }
    }
}

/// The name of a header (RFC 9110, section 5.1).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub(crate) struct HeaderName(String);

/// The name of a cookie (RFC 6265, section 4.1.1).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub(crate) struct CookieName(pub(crate) String);

impl TryFrom<String> for HeaderName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if is_token(&text) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(format!("{text:?} is not a header name"))
        }
    }
}

impl TryFrom<String> for CookieName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if is_token(&text) { Ok(Self(text)) } else { Err(format!("{text:?} is not a cookie name")) }
    }
}

/// RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(letter)
}

/// Whether a candidate takes a number that is its own: a newcomer takes only its slow-start share, always the same ones.
pub(crate) fn takes(candidate: &Candidate, number: u64) -> bool {
    mix(number ^ candidate.key) % 1000 < u64::from(candidate.slow_start_permille)
}

/// FNV-1a, 64 bits, with its weak high bits spread. The same on every host and after every restart, so that all hosts
/// send one client to one endpoint; who knows it can choose an endpoint, and that is all it is good for.
fn hash(bytes: &[u8]) -> u64 {
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)))
}

fn hash_address(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => hash(&address.octets()),
        IpAddr::V6(address) => hash(&address.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another number would send every client to another endpoint after an upgrade.
    #[test]
    fn the_numbers_never_change() {
        assert_eq!(hash(b""), mix(0xcbf2_9ce4_8422_2325));
        assert_eq!(hash(b"foobar"), mix(0x8594_4171_f739_67e8), "the published test vector of FNV-1a");
        assert_eq!(hash_address(IpAddr::from([192, 0, 2, 1])), hash(&[192, 0, 2, 1]));
        assert_eq!(
            mix(0x9e37_79b9_7f4a_7c15),
            0xe220_a839_7b1d_cdaf,
            "the published first number of SplitMix64 from 0"
        );
    }
}
