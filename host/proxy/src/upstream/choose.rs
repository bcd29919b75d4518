//! Who asks for an endpoint and what became of those that were asked before, in; the endpoint, out.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use palisade_contract::{Candidate, Exchange, Health, Lease, Name, Outcome, Pick, PickRequest, PluginName};
use tokio::time::Instant;

use crate::moment;
use crate::upstream::doubt::spare;
use crate::upstream::levels::reserve;
use crate::upstream::panic::panic;
use crate::upstream::pick::pick;
use crate::upstream::{Endpoint, Members, Pool, Pools};

/// What a choice is made for: an exchange that has a chain, whose balancer is asked. Nothing of a request's body is needed.
pub(crate) type For<'a> = Option<(&'a Lease, &'a mut Box<Exchange>)>;

/// Why no endpoint was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unchosen {
    /// There is none, or the balancer wants none.
    None,
    /// The balancer failed, and it is written that nothing goes on without it.
    Refused(PluginName),
}

impl Pools {
    /// What the chain's balancer says, else what the host finds best: the worker's connections to an endpoint. The list may
    /// have changed since those were asked that are named here with what became of them.
    ///
    /// # Errors
    /// No endpoint is to be asked.
    pub(crate) fn choose(
        &self,
        asked: For<'_>,
        attempt: u32,
        outcomes: &[(Name, Outcome)],
    ) -> Result<Rc<Pool>, Unchosen> {
        let reached = self.reached();
        let mut candidates = self.candidates.take();
        let spares = self.look(&reached.members, (attempt, outcomes), &mut candidates);
        let version = reached.version(&self.upstream.group);
        let request = PickRequest { upstream: self.upstream.name, version, attempt };
        let by_host = Cell::new(false);
        let host = || {
            by_host.set(true);
            pick(&candidates, self.upstream.zone, &self.random).map_or(Pick::None, Pick::Endpoint)
        };
        let has_balancer = asked.as_ref().is_some_and(|(lease, _)| lease.chain().balances());
        let picked = match asked {
            Some((lease, exchange)) => lease.pick(exchange, &request, &candidates, host),
            None => Ok(host()),
        };
        // A balancer may pick what is left out.
        let is_left_out = |index: usize| candidates.get(index).is_some_and(|one| one.health == Health::Unhealthy);
        let is_spared = spares && matches!(&picked, Ok(Pick::Endpoint(index)) if is_left_out(*index));
        self.candidates.replace(candidates);
        match picked {
            Ok(Pick::Endpoint(index)) => {
                let pool = reached.pools.get(index).cloned().ok_or(Unchosen::None)?;
                if is_spared && pool.endpoint.doubt().is_spared(Instant::now()) {
                    return Err(self.nobody_answers());
                }
                if has_balancer && by_host.get() {
                    pool.monitor.stood_in();
                }
                Ok(pool)
            }
            Ok(Pick::None) if spares => Err(self.nobody_answers()),
            Ok(Pick::None) => Err(Unchosen::None),
            Err(plugin) => Err(Unchosen::Refused(plugin)),
        }
    }

    /// The endpoints as they are now, those of later levels kept back while they are not wanted; whether any is left out because it
    /// answers nobody in time.
    fn look(
        &self,
        members: &Members,
        (attempt, outcomes): (u32, &[(Name, Outcome)]),
        candidates: &mut Vec<Candidate>,
    ) -> bool {
        let outcome_of = |name| outcomes.iter().find(|(tried, _)| *tried == name).map(|(_, outcome)| *outcome);
        let now = millis();
        let candidate =
            |endpoint: &Arc<Endpoint>| endpoint.candidate(outcome_of(endpoint.name).unwrap_or(Outcome::Untried), now);
        candidates.clear();
        candidates.extend(members.endpoints.iter().map(candidate));
        if attempt > 0 && self.upstream.group.has_rests() {
            rest(members, candidates);
        }
        let spares = match self.upstream.config.panic_percent {
            // It is written that all are asked rather than none.
            Some(percent) => {
                panic(candidates, percent);
                false
            }
            None => self.upstream.group.has_doubts() && spare(members, candidates, Instant::now()),
        };
        if members.has_levels {
            reserve(candidates);
        }
        spares
    }

    fn nobody_answers(&self) -> Unchosen {
        if self.upstream.group.refuses() {
            let upstream = self.upstream.config.name.as_str();
            tracing::warn!(
                upstream,
                "no endpoint that is left answers in time: requests are refused, but for one now and then"
            );
        }
        Unchosen::None
    }
}

/// For a request that goes out once more, those that asked for no more are as those that were tried, as long as there is another
/// one.
fn rest(members: &Members, candidates: &mut [Candidate]) {
    let is_untried = |one: &Candidate| one.outcome == Outcome::Untried && one.health == Health::Healthy;
    let mut untried = members.endpoints.iter().zip(candidates.iter()).filter(|(_, one)| is_untried(one));
    if untried.all(|(endpoint, _)| endpoint.rest().is_some()) {
        return;
    }
    let untried = members.endpoints.iter().zip(candidates).filter(|(_, one)| is_untried(one));
    for (_, candidate) in untried.filter(|(endpoint, _)| endpoint.rest().is_some()) {
        candidate.outcome = Outcome::BadStatus;
    }
}

/// The time in milliseconds, for averages that decay. It wraps around.
pub(crate) fn millis() -> u32 {
    static START: OnceLock<Instant> = OnceLock::new();
    let now = moment::now();
    let millis = now.saturating_duration_since(*START.get_or_init(|| now)).as_millis();
    u32::try_from(millis & u128::from(u32::MAX)).unwrap_or_default()
}
