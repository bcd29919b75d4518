//! A choice of an endpoint, as a [`Balancer`](crate::Balancer) makes it.

use std::net::IpAddr;

use crate::{
    Exchange, HeadError, HeaderValue, Name,
    bindings::balancer::exports::palisade::plugin::balancer as host,
    exchange, header,
    host::{request as head_of, response as answer},
};

pub use host::{Health, Outcome};

/// The request that needs an endpoint. Its head can be read, each read being one host call.
#[derive(Clone, Debug)]
pub struct PickRequest {
    request: host::PickRequest,
}

impl PickRequest {
    pub(crate) fn new(request: host::PickRequest) -> Self {
        Self { request }
    }

    /// The number of the request and its response.
    pub fn exchange(&self) -> Exchange {
        Exchange::from_number(self.request.exchange)
    }

    /// The client's address. IPv4 is IPv4, also on a socket that listens on both.
    pub fn client(&self) -> IpAddr {
        exchange::address(self.request.client)
    }

    /// The upstream whose endpoints are the candidates.
    pub fn upstream(&self) -> Name {
        Name::from_number(self.request.upstream)
    }

    /// Changes whenever the list's endpoints, weights, zones or health change: tables built for one version of one
    /// upstream hold until then.
    pub fn version(&self) -> u64 {
        self.request.version
    }

    /// Zero the first time, then one more for each retry of this exchange.
    pub fn attempt(&self) -> u32 {
        self.request.attempt
    }

    /// The first value of a header of the request.
    pub fn header(&self, name: &str) -> Option<HeaderValue> {
        head_of::header(self.request.exchange, name).map(HeaderValue::from)
    }

    /// The first cookie of this name, as it was sent. None where it is not UTF-8.
    pub fn cookie(&self, name: &str) -> Option<String> {
        header::cookie(&head_of::header_values(self.request.exchange, "cookie"), name)
    }

    /// Adds a header to the answer of the endpoint that is picked in this call, should it give one: a cookie that names it,
    /// for example. Response filters see it there.
    ///
    /// # Errors
    ///
    /// As [`HeadError`] says; nothing is added then.
    pub fn append_response_header(&self, name: &str, value: impl AsRef<[u8]>) -> Result<(), HeadError> {
        Ok(answer::append_header(self.request.exchange, name, value.as_ref())?)
    }

    /// Path and query, as they will be forwarded.
    pub fn target(&self) -> String {
        header::text(head_of::target(self.request.exchange))
    }

    /// Host and port, as they will be forwarded; may be empty.
    pub fn authority(&self) -> String {
        header::text(head_of::authority(self.request.exchange))
    }
}

/// An endpoint that may be picked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Candidate {
    /// The address.
    pub endpoint: Name,
    /// A hash of the address, the same on every host and after every restart: the key for consistent hashing.
    pub key: u64,
    /// Relative to the others; at least 1.
    pub weight: u32,
    /// Where it is; without text where the config names no zone.
    pub zone: Name,
    /// Its level. Zero comes first; those of a higher one are [`Health::Reserve`] until the levels before have too few that
    /// are healthy.
    pub priority: u8,
    /// What health checks say.
    pub health: Health,
    /// What became of it earlier in this very exchange.
    pub outcome: Outcome,
    /// Requests that this host has under way to it, all workers together.
    pub in_flight: u32,
    /// Peak-sensitive moving average of the time to the first byte in microseconds; zero while unknown. It falls as time
    /// passes, also while nothing is heard of the endpoint.
    pub latency_micros: u32,
    /// Consecutive failures up to now.
    pub failures: u32,
    /// Share of its weight that a newcomer may take, in thousandths; 1000 for everyone else.
    pub slow_start_permille: u16,
}

/// What a balancer chose.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pick {
    /// The candidate of this index. An index outside fails the plugin.
    Endpoint(usize),
    /// None of them: the client gets a 503.
    None,
}

/// Words of one candidate, as this SDK knows them.
const WORDS: usize = 5;

impl Candidate {
    /// Makes `into` the candidates of a packed list, where each has so many words.
    pub(crate) fn unpack(words: &[u64], words_each: u32, into: &mut Vec<Self>) {
        let words_each = usize::try_from(words_each).unwrap_or_default().max(WORDS);
        into.clear();
        into.extend(words.chunks_exact(words_each).filter_map(|words| words.first_chunk().map(Self::from_words)));
    }

    fn from_words(&[key, names, load, trouble, state]: &[u64; WORDS]) -> Self {
        let [health, outcome, slow, start, priority, ..] = state.to_le_bytes();
        Self {
            endpoint: Name::from_number(low(names)),
            key,
            weight: low(load),
            zone: Name::from_number(low(names >> 32)),
            priority,
            health: match health {
                0 => Health::Healthy,
                2 => Health::Draining,
                3 => Health::Reserve,
                // What a later host may say of an endpoint's health is no recommendation.
                _ => Health::Unhealthy,
            },
            outcome: match outcome {
                0 => Outcome::Untried,
                1 => Outcome::ConnectFailed,
                2 => Outcome::TimedOut,
                3 => Outcome::Reset,
                _ => Outcome::BadStatus,
            },
            in_flight: low(load >> 32),
            latency_micros: low(trouble),
            failures: low(trouble >> 32),
            slow_start_permille: u16::from_le_bytes([slow, start]),
        }
    }

    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn to_words(self) -> [u64; WORDS] {
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        [
            self.key,
            pair(self.endpoint.number(), self.zone.number()),
            pair(self.weight, self.in_flight),
            pair(self.latency_micros, self.failures),
            self.health as u64
                | (self.outcome as u64) << 8
                | u64::from(self.slow_start_permille) << 16
                | u64::from(self.priority) << 32,
        ]
    }
}

/// The lower half of a word.
fn low(word: u64) -> u32 {
    let [a, b, c, d, ..] = word.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

impl From<Pick> for host::Choice {
    fn from(pick: Pick) -> Self {
        match pick {
            // An index beyond u32 is outside as well: the host says so.
            Pick::Endpoint(index) => Self::Endpoint(u32::try_from(index).unwrap_or(u32::MAX)),
            Pick::None => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANDIDATE: Candidate = Candidate {
        endpoint: Name::from_number(7),
        key: 0x0123_4567_89ab_cdef,
        weight: u32::MAX,
        zone: Name::from_number(9),
        priority: 3,
        health: Health::Draining,
        outcome: Outcome::BadStatus,
        in_flight: 3,
        latency_micros: 1_500,
        failures: u32::MAX - 1,
        slow_start_permille: 999,
    };

    fn unpacked(words: &[u64], words_each: u32) -> Vec<Candidate> {
        let mut candidates = vec![CANDIDATE];
        Candidate::unpack(words, words_each, &mut candidates);
        candidates
    }

    #[test]
    fn a_candidate_comes_out_as_it_was_packed() {
        let words = CANDIDATE.to_words();
        assert_eq!(words[4], 3 << 32 | 999 << 16 | 4 << 8 | 2);
        assert_eq!(unpacked(&[words, words].concat(), 5), [CANDIDATE, CANDIDATE]);
    }

    #[test]
    fn words_that_a_later_host_adds_are_passed_over() {
        let words: Vec<u64> =
            [CANDIDATE, CANDIDATE].iter().flat_map(|each| [&each.to_words()[..], &[77]].concat()).collect();
        assert_eq!(unpacked(&words, 6), [CANDIDATE, CANDIDATE]);
        assert_eq!(unpacked(&[], 5), []);
    }
}
