//! Networks with a value each, in; an address, out comes the value of the longest prefix that covers it.
//!
//! The map is flat: the networks are laid over each other once, when it is built, which leaves the boundaries at which
//! the answer changes, in order. Finding is one binary search over them, and neighbours with the same answer are one
//! range. A trie would answer no faster and hold several times the memory: 100,000 prefixes are at most 200,000
//! boundaries of five bytes (IPv4) or 17 (IPv6).

use std::net::IpAddr;

use crate::network::{Network, Prefix};

/// What each address stands for. Building sorts: O(n log n). Finding is O(log n) and allocates nothing.
#[derive(Debug)]
pub(crate) struct NetworkMap<V> {
    v4: Boundaries<u32, V>,
    v6: Boundaries<u128, V>,
}

impl<V: Copy + Eq> NetworkMap<V> {
    /// Lays the networks over each other: inside a network, a longer prefix stands out; of two that are the same, the
    /// later one counts.
    pub(crate) fn new(networks: impl Iterator<Item = (Network, V)> + Clone) -> Self {
        let count = networks.clone().filter(|(network, _)| matches!(network.prefix(), Prefix::V4(..))).count();
        let mut v4 = Vec::with_capacity(count);
        let mut v6 = Vec::with_capacity(networks.clone().count() - count);
        for (network, value) in networks {
            match network.prefix() {
                Prefix::V4(first, length) => v4.push(Block { first, length, value }),
                Prefix::V6(first, length) => v6.push(Block { first, length, value }),
            }
        }
        Self { v4: Boundaries::new(v4), v6: Boundaries::new(v6) }
    }

    /// The value of the longest prefix that covers the address. IPv4 networks cover IPv4 addresses alone, and IPv6
    /// those of IPv6.
    pub(crate) fn find(&self, address: IpAddr) -> Option<V> {
        match address {
            IpAddr::V4(address) => self.v4.find(address.to_bits()),
            IpAddr::V6(address) => self.v6.find(address.to_bits()),
        }
    }
}

/// A network in numbers: its first address and the length of its prefix.
struct Block<K, V> {
    first: K,
    length: u8,
    value: V,
}

/// Where the answer changes: from `starts[i]` up to the next start it is `values[i]`. Before the first start it is
/// none.
#[derive(Debug)]
struct Boundaries<K, V> {
    starts: Vec<K>,
    values: Vec<Option<V>>,
}

impl<K: Address, V: Copy + Eq> Boundaries<K, V> {
    /// Sweeps over the blocks in order of their first address. Prefixes nest or are apart, so those that are open at
    /// one address form a stack with the longest prefix on top.
    fn new(mut blocks: Vec<Block<K, V>>) -> Self {
        blocks.sort_by_key(|block| (block.first, block.length));
        let mut boundaries = Self { starts: Vec::new(), values: Vec::new() };
        let mut open: Vec<(K, V)> = Vec::new();
        for block in blocks {
            boundaries.close(&mut open, |last| last < block.first);
            boundaries.push(block.first, Some(block.value));
            open.push((block.first.last(block.length), block.value));
        }
        boundaries.close(&mut open, |_| true);
        boundaries.starts.shrink_to_fit();
        boundaries.values.shrink_to_fit();
        boundaries
    }

    /// Ends the open blocks that are over; after each, the one around it goes on.
    fn close(&mut self, open: &mut Vec<(K, V)>, over: impl Fn(K) -> bool) {
        while let Some((last, _)) = open.pop_if(|(last, _)| over(*last)) {
            if let Some(next) = last.next() {
                self.push(next, open.last().map(|(_, value)| *value));
            }
        }
    }

    /// From `start` on, the answer is `value`. Starts come in order; of two at the same place the later one counts.
    fn push(&mut self, start: K, value: Option<V>) {
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.values.pop();
        }
        let before = self.values.last().copied().flatten();
        if before != value {
            self.starts.push(start);
            self.values.push(value);
        }
    }

    fn find(&self, address: K) -> Option<V> {
        let after = self.starts.partition_point(|start| *start <= address);
        self.values.get(after.checked_sub(1)?).copied().flatten()
    }
}

/// An address as a number.
trait Address: Copy + Ord {
    /// The address after this one; none after the highest.
    fn next(self) -> Option<Self>;

    /// The last address of the block that begins here.
    fn last(self, length: u8) -> Self;
}

impl Address for u32 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn last(self, length: u8) -> Self {
        self | Self::MAX.checked_shr(u32::from(length)).unwrap_or(0)
    }
}

impl Address for u128 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn last(self, length: u8) -> Self {
        self | Self::MAX.checked_shr(u32::from(length)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn map(networks: &[(&str, char)]) -> NetworkMap<char> {
        NetworkMap::new(networks.iter().map(|(text, value)| (Network::parse(text).unwrap(), *value)))
    }

    fn check(networks: &[(&str, char)], expected: &[(&str, Option<char>)]) {
        let map = map(networks);
        for (address, value) in expected {
            assert_eq!(map.find(address.parse().unwrap()), *value, "{address} in {networks:?}");
        }
    }

    #[test]
    fn an_empty_map_knows_no_address() {
        check(&[], &[("0.0.0.0", None), ("255.255.255.255", None), ("::", None)]);
    }

    #[test]
    fn the_longest_prefix_counts_whatever_the_order() {
        let expected = &[
            ("9.255.255.255", None),
            ("10.0.0.0", Some('a')),
            ("10.1.0.0", Some('b')),
            ("10.1.2.3", Some('c')),
            ("10.1.2.4", Some('b')),
            ("10.2.0.0", Some('a')),
            ("11.0.0.0", None),
        ];
        check(&[("10.0.0.0/8", 'a'), ("10.1.0.0/16", 'b'), ("10.1.2.3", 'c')], expected);
        check(&[("10.1.2.3", 'c'), ("10.1.0.0/16", 'b'), ("10.0.0.0/8", 'a')], expected);
    }

    #[test]
    fn of_two_equal_networks_the_later_counts() {
        check(&[("10.0.0.0/8", 'a'), ("10.0.0.0/8", 'b')], &[("10.0.0.1", Some('b')), ("11.0.0.0", None)]);
    }

    #[test]
    fn both_ends_of_the_number_line_are_covered() {
        check(
            &[("0.0.0.0/0", 'a'), ("255.255.255.255", 'b'), ("::/0", 'c'), ("ffff::/16", 'd')],
            &[
                ("0.0.0.0", Some('a')),
                ("255.255.255.254", Some('a')),
                ("255.255.255.255", Some('b')),
                ("::", Some('c')),
                ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some('d')),
            ],
        );
    }

    #[test]
    fn families_are_apart() {
        check(&[("0.0.0.0/0", 'a')], &[("::1", None), ("127.0.0.1", Some('a'))]);
        check(&[("::/0", 'a')], &[("::1", Some('a')), ("127.0.0.1", None)]);
    }

    #[test]
    fn neighbours_with_one_value_are_one_range() {
        let map = map(&[("10.0.0.0/9", 'a'), ("10.128.0.0/9", 'a'), ("10.4.0.0/16", 'a')]);
        assert_eq!(map.v4.starts, [u32::from(Ipv4Addr::new(10, 0, 0, 0)), u32::from(Ipv4Addr::new(11, 0, 0, 0))]);
    }

    /// Few high bits and few low ones, so that networks nest and touch often.
    fn bits() -> impl Strategy<Value = u32> {
        prop_oneof![0..16_u32, (0..16_u32).prop_map(|high| high << 28), (0..16_u32).prop_map(|high| u32::MAX - high)]
    }

    /// Networks as their first bits, the length of the prefix, and a value.
    fn networks() -> impl Strategy<Value = Vec<(u32, u8, u8)>> {
        let network =
            (bits(), 0..=32_u8, 0..3_u8).prop_map(|(bits, length, value)| (bits & !hosts(length), length, value));
        prop::collection::vec(network, 0..40)
    }

    fn hosts(length: u8) -> u32 {
        u32::MAX.checked_shr(length.into()).unwrap_or(0)
    }

    /// The longest prefix, the last of equals, by looking at every network.
    fn naive(networks: &[(u32, u8, u8)], address: u32) -> Option<u8> {
        let covering = networks.iter().rev().filter(|(first, length, _)| address & !hosts(*length) == *first);
        covering.min_by_key(|(_, length, _)| 32 - length).map(|(_, _, value)| *value)
    }

    fn v4(bits: u32) -> IpAddr {
        Ipv4Addr::from_bits(bits).into()
    }

    /// The same bits at the top of IPv6.
    fn v6(bits: u32) -> IpAddr {
        Ipv6Addr::from_bits(u128::from(bits) << 96).into()
    }

    fn build(networks: &[(u32, u8, u8)], address: fn(u32) -> IpAddr) -> NetworkMap<u8> {
        let network = |(first, length, value): &(u32, u8, u8)| {
            (Network::parse(&format!("{}/{length}", address(*first))).unwrap(), *value)
        };
        NetworkMap::new(networks.iter().map(network))
    }

    proptest! {
        #[test]
        fn every_address_gets_what_looking_at_every_network_gives(
            networks in networks(),
            addresses in prop::collection::vec(bits(), 20),
        ) {
            for family in [v4, v6] {
                let map = build(&networks, family);
                for address in &addresses {
                    prop_assert_eq!(map.find(family(*address)), naive(&networks, *address));
                }
            }
        }
    }
}
