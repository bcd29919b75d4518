//! A choice of an endpoint for a test.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{TestRequest, address, names};
use crate::{Candidate, Health, Name, Outcome, bindings::balancer::exports::palisade::plugin::balancer as host};

/// What [`TestHost::pick`](crate::TestHost::pick) asks: version 1 of the upstream `test` for `GET /`, the first attempt,
/// and no candidates, unless said otherwise.
///
/// ```
/// use palisade_sdk::{TestCandidate, TestPick};
///
/// let pick = TestPick::new().candidates(["10.0.0.1:80", "10.0.0.2:80"]);
/// let weighted = TestPick::new().candidates([TestCandidate::new("10.0.0.1:80").weight(3), "10.0.0.2:80".into()]);
/// # let _ = (pick, weighted);
/// ```
#[derive(Clone, Debug)]
pub struct TestPick {
    pub(super) request: TestRequest,
    upstream: String,
    version: u64,
    attempt: u32,
    candidates: Vec<Candidate>,
}

impl TestPick {
    /// A choice without candidates.
    #[expect(clippy::new_without_default, reason = "a test reads better when it says what it makes")]
    pub fn new() -> Self {
        Self {
            request: TestRequest::get("/"),
            upstream: "test".to_owned(),
            version: 1,
            attempt: 0,
            candidates: Vec::new(),
        }
    }

    /// Sets the candidates: addresses, [`TestCandidate`]s or [`Candidate`]s.
    #[must_use]
    pub fn candidates<C: Into<TestCandidate>>(mut self, candidates: impl IntoIterator<Item = C>) -> Self {
        self.candidates = candidates.into_iter().map(|candidate| candidate.into().candidate).collect();
        self
    }

    /// Sets the request that needs an endpoint.
    #[must_use]
    pub fn request(mut self, request: TestRequest) -> Self {
        self.request = request;
        self
    }

    /// Sets the client's address.
    ///
    /// # Panics
    ///
    /// Where it is not an address.
    #[must_use]
    pub fn client(mut self, address: &str) -> Self {
        self.request = self.request.client(address);
        self
    }

    /// Adds a header to the request.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Sets the upstream's name.
    #[must_use]
    pub fn upstream(mut self, name: &str) -> Self {
        self.upstream = name.to_owned();
        self
    }

    /// Sets the version of the list.
    #[must_use]
    pub fn version(mut self, version: u64) -> Self {
        self.version = version;
        self
    }

    /// Sets how many attempts there were before.
    #[must_use]
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    pub(super) fn to_host(&self, exchange: u64) -> (host::PickRequest, Vec<u64>) {
        let request = host::PickRequest {
            exchange,
            client: address::to_host(self.request.client),
            upstream: names::number(&self.upstream),
            version: self.version,
            attempt: self.attempt,
            candidate_words: 5,
        };
        (request, self.candidates.iter().flat_map(|candidate| candidate.to_words()).collect())
    }
}

/// A candidate for a test: healthy, untried, of weight 1, with nothing under way to it.
#[derive(Clone, Copy, Debug)]
pub struct TestCandidate {
    candidate: Candidate,
}

impl TestCandidate {
    /// A candidate of this address. Its key is a hash of the address.
    pub fn new(endpoint: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        endpoint.hash(&mut hasher);
        let candidate = Candidate {
            endpoint: Name::for_test(endpoint),
            key: hasher.finish(),
            weight: 1,
            zone: Name::default(),
            priority: 0,
            health: Health::Healthy,
            outcome: Outcome::Untried,
            in_flight: 0,
            latency_micros: 0,
            failures: 0,
            slow_start_permille: 1_000,
        };
        Self { candidate }
    }

    /// The candidate, to call a balancer's parts directly.
    pub fn candidate(self) -> Candidate {
        self.candidate
    }

    /// Sets the weight.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.candidate.weight = weight;
        self
    }

    /// Sets what health checks say.
    #[must_use]
    pub fn health(mut self, health: Health) -> Self {
        self.candidate.health = health;
        self
    }

    /// Sets what became of it earlier in this exchange.
    #[must_use]
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.candidate.outcome = outcome;
        self
    }

    /// Sets how many requests are under way to it.
    #[must_use]
    pub fn in_flight(mut self, requests: u32) -> Self {
        self.candidate.in_flight = requests;
        self
    }

    /// Sets its moving average of the time to the first byte.
    #[must_use]
    pub fn latency_micros(mut self, micros: u32) -> Self {
        self.candidate.latency_micros = micros;
        self
    }

    /// Sets the share of its weight that it may take, in thousandths.
    #[must_use]
    pub fn slow_start_permille(mut self, permille: u16) -> Self {
        self.candidate.slow_start_permille = permille;
        self
    }

    /// Sets its level.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.candidate.priority = priority;
        self
    }

    /// Sets its zone.
    #[must_use]
    pub fn zone(mut self, name: &str) -> Self {
        self.candidate.zone = Name::for_test(name);
        self
    }
}

impl From<&str> for TestCandidate {
    fn from(endpoint: &str) -> Self {
        Self::new(endpoint)
    }
}

impl From<Candidate> for TestCandidate {
    fn from(candidate: Candidate) -> Self {
        Self { candidate }
    }
}
