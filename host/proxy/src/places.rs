//! The connections that a listener may have: in all, and of one client's address.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections at the moment, all workers and all plans of a listener together.
#[derive(Debug, Default)]
pub(crate) struct Places {
    taken: AtomicUsize,
    /// By address, of those that have any: never more entries than connections.
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// Which limit a connection is beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    Listener,
    Address,
}

/// One connection's place. It gives itself back.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    _of_address: Option<OfAddress>,
}

/// One of the places that an address may have. It gives itself back.
#[derive(Debug)]
pub(crate) struct OfAddress {
    places: Arc<Places>,
    address: IpAddr,
}

impl Places {
    /// A place for a connection of this address; `of_address` is none where the address stands for many clients.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn take(
        self: &Arc<Self>,
        limit: usize,
        client: IpAddr,
        of_address: Option<usize>,
    ) -> Result<Place, Full> {
        // Counted first, so that no two workers take the last place; the place gives itself back.
        let taken = self.taken.fetch_add(1, Ordering::Relaxed);
        let mut place = Place { places: self.clone(), _of_address: None };
        if taken >= limit {
            return Err(Full::Listener);
        }
        place._of_address = of_address.map(|limit| self.take_of(client, limit)).transpose()?;
        Ok(place)
    }

    /// One of the places that this address may have, for a connection that has a place already.
    ///
    /// # Errors
    /// It has all of them.
    pub(crate) fn take_of(self: &Arc<Self>, client: IpAddr, limit: usize) -> Result<OfAddress, Full> {
        let address = network(client);
        let mut by_address = self.by_address();
        let count = by_address.entry(address).or_default();
        if *count >= limit {
            return Err(Full::Address);
        }
        *count += 1;
        drop(by_address);
        Ok(OfAddress { places: self.clone(), address })
    }

    /// Connections at the moment.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    fn by_address(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for OfAddress {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.places.by_address().entry(self.address) {
            *count.get_mut() = count.get().saturating_sub(1);
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// What one client has to itself: an IPv4 address, or 64 bits of an IPv6 one (RFC 6177, RFC 4291 section 2.5.4).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_in_all_and_for_each_address_and_come_back() {
        let places = Arc::new(Places::default());
        let take = |address: &str| places.take(4, address.parse().expect("an address"), Some(2));
        let [one, two] = [take("192.0.2.1"), take("::ffff:192.0.2.1")];
        assert!(one.is_ok() && two.is_ok());
        assert_eq!(take("192.0.2.1").err(), Some(Full::Address));
        let [three, four] = [take("2001:db8::1"), take("2001:db8::ffff:1")];
        assert!(three.is_ok() && four.is_ok(), "of one network, which may have two");
        assert_eq!(take("192.0.2.9").err(), Some(Full::Listener));
        drop(four);
        assert_eq!(take("192.0.2.1").err(), Some(Full::Address));
        assert!(places.take(4, [192, 0, 2, 1].into(), None).is_ok(), "it stands for many");
        drop((one, two, three));
        assert!(places.by_address().is_empty());
        assert_eq!(places.taken.load(Ordering::Relaxed), 0);
    }
}
