//! Text such as `192.0.2.0/24` or `2001:db8::1` to a [`Network`]: the first and the last address of a block.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// A block of addresses of one family. `::ffff:192.0.2.0/120` is the IPv4 block that it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// IPv4, both ends included.
    V4 {
        /// The lowest address.
        first: u32,
        /// The highest address.
        last: u32,
    },
    /// IPv6, both ends included.
    V6 {
        /// The lowest address.
        first: u128,
        /// The highest address.
        last: u128,
    },
}

impl Network {
    /// Reads an address, which is a block of one, or a prefix in CIDR notation (RFC 4632, section 3.1).
    ///
    /// # Errors
    ///
    /// A sentence that quotes the text, for anything else and for a prefix with bits set beyond its length: whether the
    /// address or the length was meant cannot be told, and blocking a wider block than meant is worse than not starting.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Self::read(text).map_err(|reason| format!("{text:?} is not a network: {reason}"))
    }

    fn read(text: &str) -> Result<Self, String> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address
            .parse()
            .map_err(|_| "expected an address such as 192.0.2.1 or a prefix such as 192.0.2.0/24".to_owned())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            Some(length) => prefix_length(length, width)?,
            None => width,
        };
        match address {
            IpAddr::V4(address) => v4(address, length),
            IpAddr::V6(address) => v6(address, length),
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

fn v4(address: Ipv4Addr, length: u8) -> Result<Network, String> {
    let hosts = u32::MAX.checked_shr(u32::from(length)).unwrap_or(0);
    let bits = address.to_bits();
    if bits & hosts != 0 {
        return Err(set_beyond(&Ipv4Addr::from_bits(bits & !hosts), length));
    }
    Ok(Network::V4 { first: bits, last: bits | hosts })
}

fn v6(address: Ipv6Addr, length: u8) -> Result<Network, String> {
    let hosts = u128::MAX.checked_shr(u32::from(length)).unwrap_or(0);
    let bits = address.to_bits();
    if bits & hosts != 0 {
        return Err(set_beyond(&Ipv6Addr::from_bits(bits & !hosts), length));
    }
    match (address.to_ipv4_mapped(), length.checked_sub(96)) {
        (Some(mapped), Some(length)) => v4(mapped, length),
        _ => Ok(Network::V6 { first: bits, last: bits | hosts }),
    }
}

fn set_beyond(network: &impl fmt::Display, length: u8) -> String {
    format!("bits are set beyond the prefix length: did you mean {network}/{length}?")
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
    use super::*;

    fn check(text: &str, expected: &str) {
        let found = match Network::parse(text) {
            Ok(Network::V4 { first, last }) => format!("{} to {}", Ipv4Addr::from(first), Ipv4Addr::from(last)),
            Ok(Network::V6 { first, last }) => format!("{} to {}", Ipv6Addr::from(first), Ipv6Addr::from(last)),
            Err(message) => message,
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn an_address_is_a_network_of_one() {
        check("192.0.2.7", "192.0.2.7 to 192.0.2.7");
        check("2001:db8::7", "2001:db8::7 to 2001:db8::7");
    }

    #[test]
    fn a_prefix_covers_its_block() {
        check("10.0.0.0/8", "10.0.0.0 to 10.255.255.255");
        check("0.0.0.0/0", "0.0.0.0 to 255.255.255.255");
        check("192.0.2.7/32", "192.0.2.7 to 192.0.2.7");
        check("::/0", ":: to ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
        check("2001:db8::/33", "2001:db8:: to 2001:db8:7fff:ffff:ffff:ffff:ffff:ffff");
    }

    #[test]
    fn a_mapped_network_is_the_ipv4_network() {
        check("::ffff:192.0.2.0/120", "192.0.2.0 to 192.0.2.255");
        check("::ffff:192.0.2.1", "192.0.2.1 to 192.0.2.1");
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
