//! Who asks for an endpoint and what became of those that were asked before, in; the endpoint, out.

use std::rc::Rc;
use std::sync::Arc;

use palisade_contract::{Exchange, Lease, Name, Outcome, Pick, PickRequest, PluginName};

use crate::upstream::pick::pick;
use crate::upstream::{Endpoint, Pool, Pools};

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
        let outcome_of = |name| outcomes.iter().find(|(tried, _)| *tried == name).map(|(_, outcome)| *outcome);
        let candidate =
            |endpoint: &Arc<Endpoint>| endpoint.candidate(outcome_of(endpoint.name).unwrap_or(Outcome::Untried));
        let mut candidates = self.candidates.take();
        candidates.clear();
        candidates.extend(reached.members.endpoints.iter().map(candidate));
        let version = reached.version(&self.upstream.group);
        let request = PickRequest { upstream: self.upstream.name, version, attempt };
        let host = || pick(&candidates, &self.random).map_or(Pick::None, Pick::Endpoint);
        let picked = match asked {
            Some((lease, exchange)) => lease.pick(exchange, &request, &candidates, host),
            None => Ok(host()),
        };
        self.candidates.replace(candidates);
        match picked {
            Ok(Pick::Endpoint(index)) => reached.pools.get(index).cloned().ok_or(Unchosen::None),
            Ok(Pick::None) => Err(Unchosen::None),
            Err(plugin) => Err(Unchosen::Refused(plugin)),
        }
    }
}
