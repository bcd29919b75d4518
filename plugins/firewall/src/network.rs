//! Text such as `192.0.2.0/24` or `2001:db8::1` to a [`Network`]: a block of addresses of one family.

use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, Ipv6Addr},
};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// A block of addresses as a prefix of IPv6, in 24 bytes: a list may have 100,000. IPv4 is `::ffff:a.b.c.d` (RFC 4291,
/// section 2.5.5.2), however it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    high: u64,
    low: u64,
    length: u8,
}

/// A network in the numbers of its family: the first address and the length of the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefix {
    /// IPv4, at most 32 bits.
    V4(u32, u8),
    /// IPv6, at most 128 bits.
    V6(u128, u8),
}

impl Network {
    /// Reads an address, which is a block of one, or a prefix in CIDR notation (RFC 4632, section 3.1).
    ///
    /// # Errors
    ///
    /// A sentence that quotes the text, for anything else and for a prefix with bits set beyond its length: whether the
    /// address or the length was meant cannot be told, and blocking a wider block than meant is worse than not
    /// starting.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Self::read(text).map_err(|reason| format!("{text:?} is not a network: {reason}"))
    }

    fn read(text: &str) -> Result<Self, String> {
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address
            .parse()
            .map_err(|_| "expected an address such as 192.0.2.1 or a prefix such as 192.0.2.0/24".to_owned())?;
        let (bits, width) = match address {
            IpAddr::V4(address) => (address.to_ipv6_mapped().to_bits(), 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        let length = length.map_or(Ok(width), |length| prefix_length(length, width))?;
        let hosts = u128::MAX.checked_shr(u32::from(128 - width + length)).unwrap_or(0);
        if bits & hosts != 0 {
            let first = Ipv6Addr::from_bits(bits & !hosts);
            let first = if width == 32 { first.to_canonical() } else { first.into() };
            return Err(format!("bits are set beyond the prefix length: did you mean {first}/{length}?"));
        }
        Ok(Self { high: half(bits >> 64), low: half(bits), length: 128 - width + length })
    }

    /// The network in the numbers of its family.
    pub(crate) fn prefix(self) -> Prefix {
        let first = Ipv6Addr::from_bits((u128::from(self.high) << 64) | u128::from(self.low));
        match (first.to_ipv4_mapped(), self.length.checked_sub(96)) {
            (Some(first), Some(length)) => Prefix::V4(first.to_bits(), length),
            _ => Prefix::V6(first.to_bits(), self.length),
        }
    }
}

fn prefix_length(text: &str, width: u8) -> Result<u8, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits {
        return Err(format!("prefix length {text:?} is not a number"));
    }
    match text.parse() {
        Ok(length) if length <= width => Ok(length),
        _ => Err(format!("prefix length is at most {width}")),
    }
}

/// The lower half.
fn half(bits: u128) -> u64 {
    u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0)
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NetworkText)
    }
}

/// Reads the text where it lies: a list of 100,000 networks makes no copy of its strings.
struct NetworkText;

impl de::Visitor<'_> for NetworkText {
    type Value = Network;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Network, E> {
        Network::parse(text).map_err(E::custom)
    }
}

impl JsonSchema for Network {
    fn schema_name() -> Cow<'static, str> {
        "Network".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "An IPv4 or IPv6 address, or a prefix such as 192.0.2.0/24 or 2001:db8::/32.",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn check(text: &str, expected: &str) {
        let found = match Network::parse(text).map(Network::prefix) {
            Ok(Prefix::V4(first, length)) => format!("{}/{length}", Ipv4Addr::from(first)),
            Ok(Prefix::V6(first, length)) => format!("{}/{length}", Ipv6Addr::from(first)),
            Err(message) => message,
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn an_address_is_a_network_of_one() {
        check("192.0.2.7", "192.0.2.7/32");
        check("2001:db8::7", "2001:db8::7/128");
    }

    #[test]
    fn a_prefix_is_of_its_family() {
        for text in ["10.0.0.0/8", "0.0.0.0/0", "192.0.2.7/32", "::/0", "::/96", "2001:db8::/33", "::1/128"] {
            check(text, text);
        }
    }

    #[test]
    fn a_mapped_network_is_the_ipv4_network() {
        check("::ffff:192.0.2.0/120", "192.0.2.0/24");
        check("::ffff:192.0.2.1", "192.0.2.1/32");
        check("::ffff:0:0/96", "0.0.0.0/0");
        check(
            "::ffff:0:0/95",
            "\"::ffff:0:0/95\" is not a network: bits are set beyond the prefix length: did you mean ::fffe:0:0/95?",
        );
    }

    #[test]
    fn anything_else_is_refused_with_the_reason() {
        let expected = "expected an address such as 192.0.2.1 or a prefix such as 192.0.2.0/24";
        check("localhost", &format!("\"localhost\" is not a network: {expected}"));
        check("", &format!("\"\" is not a network: {expected}"));
        check("010.0.0.1", &format!("\"010.0.0.1\" is not a network: {expected}"));
        check("10.0.0.0/33", "\"10.0.0.0/33\" is not a network: prefix length is at most 32");
        check("::/129", "\"::/129\" is not a network: prefix length is at most 128");
        check("::/999", "\"::/999\" is not a network: prefix length is at most 128");
        check("10.0.0.0/", "\"10.0.0.0/\" is not a network: prefix length \"\" is not a number");
        check("10.0.0.0/+8", "\"10.0.0.0/+8\" is not a network: prefix length \"+8\" is not a number");
        check(
            "10.1.0.0/8",
            "\"10.1.0.0/8\" is not a network: bits are set beyond the prefix length: did you mean 10.0.0.0/8?",
        );
        check(
            "2001:db8::1/32",
            "\"2001:db8::1/32\" is not a network: bits are set beyond the prefix length: did you mean 2001:db8::/32?",
        );
    }
}
