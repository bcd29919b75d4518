//! Upstreams: groups of endpoints, the connections to them, and the choice among them.
//!
//! What all workers share of an endpoint is a few counters. Connections belong to one worker, which takes and returns
//! them without a lock.

mod ask;
mod asked;
mod breaker;
mod budget;
mod choose;
mod circuit;
mod connect;
mod connection;
mod counts;
mod discovery;
mod doubt;
mod endpoint;
mod fetch;
mod group;
mod health;
mod hedge;
mod key;
mod late;
mod latencies;
mod letter;
mod levels;
mod line;
mod mirror;
mod missed;
mod panic;
mod pick;
mod pinned;
mod pool;
mod pools;
mod rest;
mod room;
mod rules;
mod seen;
mod send;
mod sender;
mod shared;
mod spare;
mod standing;
mod stream;
mod tls;
mod tries;
mod unanswered;
mod up;
mod vital;
mod warmth;

pub(crate) use asked::{Answer, Asked, Switched};
pub(crate) use connection::Connection;
pub(crate) use endpoint::Endpoint;
pub(crate) use fetch::Upstreams;
pub(crate) use group::{Group, Members};
pub(crate) use health::{Oversight, first_words};
pub(crate) use late::{Late, within};
pub(crate) use letter::Letter;
pub(crate) use mirror::Mirror;
pub use pick::OwnChoice;
pub(crate) use pick::Random;
pub(crate) use pool::Pool;
pub(crate) use pools::Pools;
pub use seen::{Order, SeenEndpoint, Unknown};
pub use standing::Standing;
pub use tls::{UpstreamTlsError, UpstreamTlsReason};

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use palisade_config::UpstreamProtocol;
use palisade_contract::{Health, Name, Names};

use budget::Budget;
use circuit::Circuit;
use discovery::{Found, Source};
use standing::{Against, Checked};

/// Why an upstream cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error(transparent)]
    Tls(#[from] UpstreamTlsError),
    #[error("upstream {upstream:?}: its endpoints cannot be read: {reason}")]
    File { upstream: String, reason: String },
}

/// When those that are no endpoints any more are to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    Now,
    Later,
}

/// A group of endpoints, shared by all workers.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) name: Name,
    pub(crate) config: palisade_config::Upstream,
    pub(crate) tls: Option<tls::Tls>,
    /// Where this host stands.
    zone: Name,
    /// Who is asked for the addresses of names.
    dns: palisade_config::Dns,
    names: Arc<Names>,
    /// Where endpoints are from that are not written down, and what was found there last.
    sources: Mutex<Vec<Found>>,
    /// How many requests may be sent again.
    budget: Arc<Budget>,
    /// When no request is let through, where that is configured.
    circuit: Option<Arc<Circuit>>,
    /// Kept from one plan to the next, as endpoints are.
    group: Arc<Group>,
    members: Mutex<Arc<Members>>,
    /// Of the members, for whoever asks often.
    members_id: AtomicU32,
}

impl Upstream {
    /// The upstream as it is configured now. Where `before` is no other, it is that one, with its connections; endpoints
    /// that stay keep what is known of them in any case.
    ///
    /// Where a file has gone bad, connections are made as it was read before, and why that is so comes out as well.
    ///
    /// # Errors
    /// Its certificates cannot be read or used, and never were, or the file with its endpoints.
    pub(crate) fn next(
        (config, dns): (&palisade_config::Upstream, &palisade_config::Dns),
        before: Option<&Arc<Self>>,
        (names, zone): (&Arc<Names>, Name),
    ) -> Result<(Arc<Self>, Option<UpstreamTlsError>), UpstreamError> {
        let tls = config.tls.as_ref();
        let read = tls.map(|tls| tls::Tls::new(&config.name, tls, config.protocol)).transpose();
        let known =
            before.filter(|before| before.config.tls == config.tls && before.config.protocol == config.protocol);
        let (tls, kept) = match (read, known) {
            (Ok(tls), _) => (tls, None),
            (Err(error), Some(known)) => (known.tls.clone(), Some(error)),
            (Err(error), None) => return Err(error.into()),
        };
        let files = |tls: &Option<tls::Tls>| tls.as_ref().map(tls::Tls::files);
        let is_found = !config.names.is_empty() || config.discover.is_some();
        let same = |before: &&Arc<Self>| {
            before.config == *config
                && before.zone == zone
                && files(&before.tls) == files(&tls)
                && (before.dns == *dns || !is_found)
        };
        if let Some(before) = before.filter(same) {
            return Ok((before.clone(), kept));
        }
        let group = before.map_or_else(Arc::default, |before| before.group.clone());
        let known = before.map(|before| before.members());
        let sources = discovery::sources(config, &before.map(|before| before.sources().clone()).unwrap_or_default());
        let sources = sources.map_err(|reason| UpstreamError::File { upstream: config.name.clone(), reason })?;
        let all = discovery::all(&config.endpoints, &sources);
        let members = Members::joined(&all, (known.as_deref(), config), (names, &group));
        let upstream = Arc::new(Self {
            name: names.intern(&config.name),
            tls,
            zone,
            budget: before.map_or_else(|| Arc::new(Budget::new()), |before| before.budget.clone()),
            circuit: Circuit::next(config.circuit.as_ref(), before.and_then(|before| before.circuit.as_ref())),
            config: config.clone(),
            dns: dns.clone(),
            names: names.clone(),
            sources: Mutex::new(sources),
            group,
            members_id: AtomicU32::new(members.id),
            members: Mutex::new(members),
        });
        Ok((upstream, kept))
    }

    fn sources(&self) -> MutexGuard<'_, Vec<Found>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where endpoints are from that are not written down.
    fn all_sources(&self) -> Vec<Source> {
        self.sources().iter().map(|found| found.source.clone()).collect()
    }

    /// What was found at a source last.
    fn found_at(&self, source: &Source) -> Vec<palisade_config::Endpoint> {
        let sources = self.sources();
        sources.iter().find(|found| found.source == *source).map(|found| found.endpoints.clone()).unwrap_or_default()
    }

    /// These are the endpoints of a source from now on. Those that stay keep their connections, and those that are gone drain:
    /// where endpoints are checked, when those that are new have passed or failed their first check, or after 5 s.
    async fn found(&self, source: &Source, endpoints: Vec<palisade_config::Endpoint>) {
        let is_new = {
            let mut sources = self.sources();
            let Some(found) = sources.iter_mut().find(|found| found.source == *source) else { return };
            found.is_looked = true;
            let before = std::mem::replace(&mut found.endpoints, endpoints);
            before != found.endpoints
        };
        if is_new && self.config.health.is_some() {
            self.list(Leaving::Later);
            health::first_words_of(self).await;
        }
        if is_new {
            self.list(Leaving::Now);
        }
    }

    /// The list becomes what the sources say, perhaps with those that are to leave at its end.
    fn list(&self, leaving: Leaving) {
        // Held until the list is what they say.
        let sources = self.sources();
        let mut all = discovery::all(&self.config.endpoints, &sources);
        let before = self.members();
        if leaving == Leaving::Later {
            let kept: HashSet<SocketAddr> = all.iter().map(|endpoint| endpoint.address).collect();
            let gone = before.endpoints.iter().filter(|endpoint| !kept.contains(&endpoint.address));
            all.extend(gone.map(|endpoint| endpoint.config().clone()));
        }
        let known = (!before.endpoints.is_empty()).then_some(&*before);
        let members = Members::joined(&all, (known, &self.config), (&self.names, &self.group));
        if members.endpoints.len() == before.endpoints.len()
            && members.endpoints.iter().zip(&before.endpoints).all(|(one, other)| Arc::ptr_eq(one, other))
        {
            return;
        }
        tracing::info!(
            upstream = self.config.name,
            endpoints = members.endpoints.len(),
            "its endpoints are others now"
        );
        *self.members.lock().unwrap_or_else(PoisonError::into_inner) = members.clone();
        self.members_id.store(members.id, Ordering::Release);
        drop(sources);
        self.leave(&before, &members);
        self.group.look();
    }

    /// Whoever waits for endpoints that one list has and the next one has not is told.
    fn leave(&self, before: &Members, next: &Members) {
        let kept: HashSet<SocketAddr> = next.endpoints.iter().map(|endpoint| endpoint.address).collect();
        for gone in before.endpoints.iter().filter(|endpoint| !kept.contains(&endpoint.address)) {
            self.change(gone, |against| against.is_gone = true);
        }
    }

    /// Its endpoints at the moment.
    pub(crate) fn members(&self) -> Arc<Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether there is a first word of every endpoint.
    fn is_known(&self) -> bool {
        let members = self.members();
        self.sources().iter().all(|found| found.is_looked)
            && members.endpoints.iter().all(|endpoint| endpoint.against().checked != Checked::Unknown)
    }

    /// Whoever waits for endpoints that this upstream has and the next one of its name has not is told. A circuit that the next
    /// one has not says nothing any more.
    pub(crate) fn followed_by(&self, next: Option<&Arc<Self>>) {
        if let Some(circuit) = &self.circuit {
            let kept = next.and_then(|next| next.circuit.as_ref());
            if !kept.is_some_and(|kept| Arc::ptr_eq(kept, circuit)) {
                circuit.goes();
            }
        }
        let next = next.map_or_else(|| Members::new(Vec::new()), |next| next.members());
        self.leave(&self.members(), &next);
    }

    /// Something is held against an endpoint, or is not any more. Where that changes its health, it is logged.
    fn change(&self, endpoint: &Endpoint, change: impl FnOnce(&mut Against)) {
        let Some(before) = endpoint.change(change) else { return };
        let Standing { health, reason, .. } = endpoint.standing();
        let (upstream, address) = (&self.config.name, endpoint.address);
        let reason = reason.as_deref().unwrap_or_default();
        match (before.health == health, health) {
            (true, _) => {
                tracing::debug!(upstream, endpoint = %address, reason, "an endpoint is as it was for another reason")
            }
            (false, Health::Healthy | Health::Reserve) => {
                tracing::info!(upstream, endpoint = %address, "an endpoint is up")
            }
            (false, Health::Unhealthy) => tracing::warn!(upstream, endpoint = %address, reason, "an endpoint is down"),
            (false, Health::Draining) => tracing::info!(upstream, endpoint = %address, reason, "an endpoint drains"),
        }
    }

    /// Where requests may wait for a connection.
    fn line(&self) -> Option<&Circuit> {
        self.circuit.as_deref().filter(|circuit| circuit.has_line())
    }

    /// Whether a connection to it can become a tunnel: no two speak HTTP/2 with each other then (RFC 9113, section 8.6).
    pub(crate) fn takes_upgrades(&self) -> bool {
        self.config.protocol != UpstreamProtocol::Http2
    }
}

#[cfg(test)]
mod tests;
