//! Addresses that were asked about lately, in, with what was found; what is known of one, out. Most requests come from
//! where some request just before came from, and a look here is at one place in memory, where a search is at a dozen.

use std::net::IpAddr;

/// How many there are: a power of two.
const PLACES: usize = 1 << PLACES_BITS;
const PLACES_BITS: u32 = 6;

/// Spreads addresses that differ in any bits: 2⁶⁴ by the golden ratio (Knuth, The Art of Computer Programming,
/// volume 3, section 6.4).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// What was found for addresses. Each has one place, which it loses to the next one that has the same.
#[derive(Debug)]
pub(crate) struct Recent<V>([Option<(IpAddr, V)>; PLACES]);

impl<V: Copy> Default for Recent<V> {
    fn default() -> Self {
        Self([None; PLACES])
    }
}

impl<V: Copy> Recent<V> {
    /// What is known of the address, or what is found now, which is known from then on.
    pub(crate) fn find(&mut self, address: IpAddr, find: impl FnOnce() -> V) -> V {
        match self.0.get_mut(place(address)) {
            Some(Some((known, value))) if *known == address => *value,
            Some(place) => place.insert((address, find())).1,
            None => find(),
        }
    }
}

fn place(address: IpAddr) -> usize {
    let bits = match address {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => {
            let (network, interface) = (address.to_bits() >> 64, address.to_bits() & u128::from(u64::MAX));
            u64::try_from(network ^ interface).unwrap_or_default()
        }
    };
    usize::try_from(bits.wrapping_mul(SPREAD) >> (u64::BITS - PLACES_BITS)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, net::Ipv4Addr};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_known_is_not_looked_for_again() {
        let (mut recent, address) = (Recent::default(), IpAddr::from([192, 0, 2, 1]));
        assert_eq!(recent.find(address, || 'a'), 'a');
        assert_eq!(recent.find(address, || 'b'), 'a');
        let mapped = IpAddr::from(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped());
        assert_eq!(recent.find(mapped, || 'c'), 'c', "another address");
    }

    #[test]
    fn neighbours_do_not_share_a_place() {
        let places: BTreeSet<usize> = (0..16).map(|last| place(IpAddr::from([192, 0, 2, last]))).collect();
        assert!(places.len() > 12, "{places:?}");
    }

    fn address() -> impl Strategy<Value = IpAddr> {
        let few = prop_oneof![0..200_u128, (0..200_u128).prop_map(|high| high << 64)];
        prop_oneof![
            (0..200_u32).prop_map(|bits| Ipv4Addr::from_bits(bits).into()),
            few.prop_map(|bits| std::net::Ipv6Addr::from_bits(bits).into())
        ]
    }

    proptest! {
        #[test]
        fn what_is_said_of_an_address_was_found_for_it(addresses in prop::collection::vec(address(), 400)) {
            let mut recent = Recent::default();
            for address in addresses {
                prop_assert_eq!(recent.find(address, || address), address);
            }
        }
    }
}
