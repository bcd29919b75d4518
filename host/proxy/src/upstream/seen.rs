//! What is known of endpoints, for operators: each with its standing and its figures, and orders to leave one alone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use palisade_contract::Outcome;
use tokio::time::Instant;

use crate::upstream::choose::millis;
use crate::upstream::{Endpoint, Standing, Upstream};

/// One endpoint of an upstream as an operator sees it.
#[derive(Debug, Clone)]
pub struct SeenEndpoint {
    /// The upstream.
    pub upstream: String,
    /// The endpoint.
    pub address: SocketAddr,
    /// Its health, why it is so, and since when. One that takes requests and lets them all wait has a reason, too.
    pub standing: Standing,
    /// Relative to the others.
    pub weight: u32,
    /// The share of its weight that it takes, in thousandths.
    pub share_permille: u16,
    /// Requests under way to it.
    pub in_flight: u32,
    /// Consecutive failures.
    pub failures: u32,
    /// Times that it was left alone for what came of requests.
    pub ejections: u64,
    /// The time that the rest is of: half a minute to a minute, where it is known for as long.
    pub over: Duration,
    /// Requests that it has answered.
    pub answered: u32,
    /// Requests that it has failed.
    pub failed: u32,
    /// No more than half, a tenth and a hundredth of the answers' heads took longer; none where it has answered nothing.
    pub latency: [Option<Duration>; 3],
}

/// What an operator orders for an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// It takes no new requests; what is under way ends as it began.
    Drain,
    /// It takes them again, and whatever requests have shown before is forgotten.
    Enable,
}

/// There is no such endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// The upstream is not in the configuration.
    Upstream,
    /// The upstream has no such endpoint.
    Endpoint,
}

const SILENT: &str = "does not answer in time: where no other endpoint answers, it gets a request now and then";

impl Upstream {
    /// Its endpoints, in their order.
    pub(crate) fn seen(&self) -> Vec<SeenEndpoint> {
        let now = Instant::now();
        let of = |endpoint: &Arc<Endpoint>| {
            let candidate = endpoint.candidate(Outcome::Untried, millis());
            let (over, tally) = endpoint.recently(now);
            let mut standing = endpoint.standing();
            if standing.reason.is_none() && endpoint.doubt().is_silent() {
                standing.reason = Some(SILENT.into());
            }
            SeenEndpoint {
                upstream: self.config.name.clone(),
                address: endpoint.address,
                standing,
                weight: candidate.weight,
                share_permille: candidate.slow_start_permille,
                in_flight: candidate.in_flight,
                failures: candidate.failures,
                ejections: endpoint.ejections(),
                over,
                answered: tally.answered(),
                failed: tally.failed,
                latency: [500, 900, 990].map(|permille| tally.quantile(permille)),
            }
        };
        self.members().endpoints.iter().map(of).collect()
    }

    /// Does what is ordered, and tells what has come of it. The order holds until there is another one, or the endpoint leaves
    /// the upstream.
    ///
    /// # Errors
    /// There is no such endpoint.
    pub(crate) fn order(&self, address: SocketAddr, order: Order) -> Result<Standing, Unknown> {
        let members = self.members();
        let endpoint = members.endpoints.iter().find(|endpoint| endpoint.address == address);
        let endpoint = endpoint.ok_or(Unknown::Endpoint)?;
        self.change(endpoint, |against| match order {
            Order::Drain => against.is_drained = true,
            Order::Enable => {
                against.is_drained = false;
                against.ejected = None;
            }
        });
        if order == Order::Enable {
            endpoint.trust();
        }
        Ok(endpoint.standing())
    }
}
