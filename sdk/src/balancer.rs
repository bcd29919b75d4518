//! A choice of an endpoint, as a [`Balancer`](crate::Balancer) makes it.

use std::net::IpAddr;

use crate::{
    Exchange, HeaderValue, Name, bindings::balancer::exports::palisade::plugin::balancer as host, exchange, header,
    host::request as head_of,
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
    /// What health checks say.
    pub health: Health,
    /// What became of it earlier in this very exchange.
    pub outcome: Outcome,
    /// Requests that this host has under way to it, all workers together.
    pub in_flight: u32,
    /// Peak-sensitive moving average of the time to the first byte in microseconds; zero while unknown.
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

impl From<host::Candidate> for Candidate {
    fn from(candidate: host::Candidate) -> Self {
        Self {
            endpoint: Name::from_number(candidate.endpoint),
            key: candidate.key,
            weight: candidate.weight,
            zone: Name::from_number(candidate.zone),
            health: candidate.health,
            outcome: candidate.outcome,
            in_flight: candidate.in_flight,
            latency_micros: candidate.latency_micros,
            failures: candidate.failures,
            slow_start_permille: candidate.slow_start_permille,
        }
    }
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
