//! One address of an upstream, and what all workers know of it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use palisade_contract::{Candidate, Health, Name, Names, Outcome};

/// One address of an upstream.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) name: Name,
    pub(crate) address: SocketAddr,
    weight: u32,
    zone: Name,
    key: u64,
    in_flight: AtomicU32,
    failures: AtomicU32,
    latency_micros: AtomicU32,
}

impl Endpoint {
    pub(crate) fn new(config: &palisade_config::Endpoint, names: &Names) -> Self {
        let text = config.address.to_string();
        Self {
            name: names.intern(&text),
            address: config.address,
            weight: config.weight,
            zone: config.zone.as_deref().map_or(Name::NONE, |zone| names.intern(zone)),
            key: fnv1a(text.as_bytes()),
            in_flight: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            latency_micros: AtomicU32::new(0),
        }
    }

    /// As a balancer sees it.
    pub(crate) fn candidate(&self, outcome: Outcome) -> Candidate {
        Candidate {
            endpoint: self.name,
            key: self.key,
            weight: self.weight,
            zone: self.zone,
            health: Health::Healthy,
            outcome,
            in_flight: self.in_flight.load(Ordering::Relaxed),
            latency_micros: self.latency_micros.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            slow_start_permille: 1000,
        }
    }

    pub(crate) fn request_begins(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn request_ends(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self) {
        // Stops at the top: a wrap would make it look healthy.
        let _ = self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |failures| failures.checked_add(1));
    }

    /// It answered after this time. The average follows a rise at once and a fall by an eighth of it.
    pub(crate) fn answered(&self, after: Duration) {
        self.failures.store(0, Ordering::Relaxed);
        let sample = u32::try_from(after.as_micros()).unwrap_or(u32::MAX).max(1);
        let known = self.latency_micros.load(Ordering::Relaxed);
        let average = if sample >= known { sample } else { known - (known - sample).div_ceil(8) };
        self.latency_micros.store(average, Ordering::Relaxed);
    }
}

/// FNV-1a, 64 bits, finished by a mixer (SplitMix64's) so that addresses which differ in one digit are far apart.
fn fnv1a(bytes: &[u8]) -> u64 {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_an_address_never_changes() {
        assert_eq!(fnv1a(b"10.0.0.1:80"), fnv1a(b"10.0.0.1:80"));
        assert_ne!(fnv1a(b"10.0.0.1:80"), fnv1a(b"10.0.0.2:80"));
        // Written down once: a change would move every client of every consistent hash.
        assert_eq!(fnv1a(b""), 0xf52a_15e9_a9b5_e89b);
    }

    #[test]
    fn latency_follows_a_rise_at_once_and_a_fall_slowly() {
        let config =
            palisade_config::Endpoint { address: SocketAddr::from(([127, 0, 0, 1], 1)), weight: 1, zone: None };
        let endpoint = Endpoint::new(&config, &Names::default());
        let latency = |endpoint: &Endpoint| endpoint.candidate(Outcome::Untried).latency_micros;
        assert_eq!(latency(&endpoint), 0);
        endpoint.answered(Duration::from_micros(800));
        assert_eq!(latency(&endpoint), 800);
        endpoint.answered(Duration::ZERO);
        assert_eq!(latency(&endpoint), 700);
        (0..200).for_each(|_| endpoint.answered(Duration::ZERO));
        assert_eq!(latency(&endpoint), 1);
    }
}
