//! Addresses in tests: text → address → the host's form.

use std::net::{IpAddr, Ipv4Addr};

use crate::bindings::capabilities::palisade::plugin::types::IpAddress;

/// An address that documentation may use (RFC 5737).
pub(crate) const DEFAULT_CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
pub(crate) const DEFAULT_CLIENT_PORT: u16 = 49_152;

#[expect(clippy::panic, reason = "a mistake in a test fails the test")]
#[track_caller]
pub(crate) fn parse(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|error| panic!("{text:?} is not an address: {error}"))
}

pub(crate) fn to_host(address: IpAddr) -> IpAddress {
    let mapped = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    let bits = mapped.to_bits();
    IpAddress { high: half(bits >> 64), low: half(bits) }
}

/// The lower half.
fn half(bits: u128) -> u64 {
    u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0)
}
