//! What several phases say about an exchange: its number and the client's address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bindings::capabilities::palisade::plugin::types::IpAddress;

/// The number of one request and its response. It is the same in every phase of one exchange, and never comes again for
/// another on the same worker, so it can key what a plugin remembers from one phase to the next.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Exchange(u64);

impl Exchange {
    /// The exchange of this number; the host alone gives numbers that mean something.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// An address from the host's form: IPv4 comes as `::ffff:a.b.c.d` and becomes IPv4 again.
pub(crate) fn address(from_host: IpAddress) -> IpAddr {
    let (low, prefix) = (from_host.low & 0xffff_ffff, from_host.low >> 32);
    if let (0, 0xffff, Ok(v4)) = (from_host.high, prefix, u32::try_from(low)) {
        return Ipv4Addr::from_bits(v4).into();
    }
    Ipv6Addr::from_bits((u128::from(from_host.high) << 64) | u128::from(from_host.low)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_their_family() {
        check(0, 0xffff_cb00_7109, "203.0.113.9");
        check(0x2001_0db8_0000_0000, 1, "2001:db8::1");
        check(0, 1, "::1");
        check(0, 0, "::");
    }

    #[track_caller]
    fn check(high: u64, low: u64, expected: &str) {
        assert_eq!(address(IpAddress { high, low }).to_string(), expected);
    }
}
