//! Upstreams: groups of endpoints, the connections to them, and the choice among them.
//!
//! What all workers share of an endpoint is a few counters. Connections belong to one worker, which takes and returns
//! them without a lock.

mod choose;
mod connect;
mod connection;
mod endpoint;
mod fetch;
mod pick;
mod pinned;
mod pool;
mod send;
mod sender;
mod shared;
mod stream;
mod tls;
mod unanswered;

pub(crate) use connection::Connection;
pub(crate) use endpoint::Endpoint;
pub(crate) use fetch::Upstreams;
pub(crate) use pick::Random;
pub(crate) use pool::Pool;
pub(crate) use send::{Answer, Asked, Late, Switched, within};
pub use tls::{UpstreamTlsError, UpstreamTlsReason};

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use palisade_config::UpstreamProtocol;
use palisade_contract::{Candidate, Monitor, Name, Names};

/// A group of endpoints, shared by all workers.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) name: Name,
    pub(crate) config: palisade_config::Upstream,
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
    pub(crate) tls: Option<tls::Tls>,
    /// Changes with the endpoints: no two upstreams, of any configuration, have the same.
    pub(crate) version: u64,
}

impl Upstream {
    /// The upstream as it is configured now. Where `before` is no other, it is that one, with its connections; endpoints
    /// that stay keep what is known of them in any case.
    ///
    /// Where a file has gone bad, connections are made as it was read before, and why that is so comes out as well.
    ///
    /// # Errors
    /// Its certificates cannot be read or used, and never were.
    pub(crate) fn next(
        config: &palisade_config::Upstream,
        before: Option<&Arc<Self>>,
        names: &Names,
        version: u64,
    ) -> Result<(Arc<Self>, Option<UpstreamTlsError>), UpstreamTlsError> {
        let tls = config.tls.as_ref();
        let read = tls.map(|tls| tls::Tls::new(&config.name, tls, config.protocol)).transpose();
        let known =
            before.filter(|before| before.config.tls == config.tls && before.config.protocol == config.protocol);
        let (tls, kept) = match (read, known) {
            (Ok(tls), _) => (tls, None),
            (Err(error), Some(known)) => (known.tls.clone(), Some(error)),
            (Err(error), None) => return Err(error),
        };
        let files = |tls: &Option<tls::Tls>| tls.as_ref().map(tls::Tls::files);
        let same = |before: &&Arc<Self>| before.config == *config && files(&before.tls) == files(&tls);
        if let Some(before) = before.filter(same) {
            return Ok((before.clone(), kept));
        }
        let known: HashMap<SocketAddr, (&palisade_config::Endpoint, &Arc<Endpoint>)> = before
            .iter()
            .flat_map(|before| before.config.endpoints.iter().zip(&before.endpoints))
            .map(|(config, endpoint)| (config.address, (config, endpoint)))
            .collect();
        let endpoint = |config: &palisade_config::Endpoint| match known.get(&config.address) {
            Some((known, endpoint)) if *known == config => Arc::clone(endpoint),
            Some(_) | None => Arc::new(Endpoint::new(config, names)),
        };
        let upstream = Arc::new(Self {
            name: names.intern(&config.name),
            endpoints: config.endpoints.iter().map(endpoint).collect(),
            tls,
            config: config.clone(),
            version,
        });
        Ok((upstream, kept))
    }

    /// Whether a connection to it can become a tunnel: no two speak HTTP/2 with each other then (RFC 9113, section 8.6).
    fn takes_upgrades(&self) -> bool {
        self.config.protocol != UpstreamProtocol::Http2
    }
}

/// One worker's connections to the endpoints of an upstream.
#[derive(Debug)]
pub(crate) struct Pools {
    pub(crate) upstream: Arc<Upstream>,
    pools: Vec<Rc<Pool>>,
    /// Kept from one choice to the next, so that none allocates.
    candidates: RefCell<Vec<Candidate>>,
    random: Random,
}

impl Pools {
    pub(crate) fn new(upstream: &Arc<Upstream>, monitor: &dyn Monitor) -> Rc<Self> {
        let pool = |endpoint: &Arc<Endpoint>| {
            let monitor = monitor.endpoint(&upstream.config.name, &endpoint.address.to_string());
            Pool::new(endpoint, upstream, monitor)
        };
        Rc::new(Self {
            upstream: upstream.clone(),
            pools: upstream.endpoints.iter().map(pool).collect(),
            candidates: RefCell::default(),
            random: Random::new(),
        })
    }

    /// Closes connections that were not used for too long.
    pub(crate) fn sweep(&self) {
        self.pools.iter().for_each(|pool| pool.sweep());
    }

    /// The configuration has no such upstream any more: what is idle is closed, and so is what comes back.
    pub(crate) fn retire(&self) {
        self.pools.iter().for_each(|pool| pool.retire());
    }
}
