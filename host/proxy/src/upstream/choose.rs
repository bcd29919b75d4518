//! Who asks for an endpoint and what became of those that were asked before, in; the endpoint, out.

use palisade_contract::{Exchange, Lease, Outcome, Pick, PickRequest, PluginName};

use crate::upstream::Pools;
use crate::upstream::pick::pick;

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
    /// What the chain's balancer says, else what the host finds best: the place of an endpoint in the upstream's list.
    ///
    /// # Errors
    /// No endpoint is to be asked.
    pub(crate) fn choose(
        &self,
        asked: For<'_>,
        attempt: u32,
        outcomes: &[(usize, Outcome)],
    ) -> Result<usize, Unchosen> {
        let outcome_of = |index| outcomes.iter().find(|(tried, _)| *tried == index).map(|(_, outcome)| *outcome);
        let mut candidates = self.candidates.take();
        candidates.clear();
        candidates.extend(
            self.upstream
                .endpoints
                .iter()
                .enumerate()
                .map(|(index, endpoint)| endpoint.candidate(outcome_of(index).unwrap_or(Outcome::Untried))),
        );
        let request = PickRequest { upstream: self.upstream.name, version: self.upstream.version, attempt };
        let host = || pick(&candidates, &self.random).map_or(Pick::None, Pick::Endpoint);
        let picked = match asked {
            Some((lease, exchange)) => lease.pick(exchange, &request, &candidates, host),
            None => Ok(host()),
        };
        self.candidates.replace(candidates);
        match picked {
            Ok(Pick::Endpoint(index)) => Ok(index),
            Ok(Pick::None) => Err(Unchosen::None),
            Err(plugin) => Err(Unchosen::Refused(plugin)),
        }
    }
}
