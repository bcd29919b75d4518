//! Upstreams: groups of endpoints, the connections to them, and the choice among them.
//!
//! What all workers share of an endpoint is a few counters. Connections belong to one worker, which takes and returns
//! them without a lock.

mod connect;
mod endpoint;
mod pick;
mod pool;
mod send;
mod tls;

pub(crate) use endpoint::Endpoint;
pub(crate) use pick::Random;
pub(crate) use pool::{Connection, Pool};
pub(crate) use send::{Answer, Asked};
pub use tls::{UpstreamTlsError, UpstreamTlsReason};

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use palisade_contract::{Candidate, Monitor, Name, Names};

/// A group of endpoints, shared by all workers.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) name: Name,
    pub(crate) config: palisade_config::Upstream,
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
    pub(crate) tls: Option<tls::Tls>,
    /// Changes with the endpoints. They are fixed for one configuration, so each has a version of its own.
    pub(crate) version: u64,
}

impl Upstream {
    /// # Errors
    /// Its certificates cannot be read or used.
    pub(crate) fn new(
        config: &palisade_config::Upstream,
        names: &Names,
        version: u64,
    ) -> Result<Arc<Self>, UpstreamTlsError> {
        Ok(Arc::new(Self {
            name: names.intern(&config.name),
            endpoints: config.endpoints.iter().map(|endpoint| Arc::new(Endpoint::new(endpoint, names))).collect(),
            tls: config.tls.as_ref().map(|tls| tls::Tls::new(&config.name, tls)).transpose()?,
            config: config.clone(),
            version,
        }))
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
}
