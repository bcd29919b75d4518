//! What one worker has of an upstream: its connections to each endpoint, and the figures that are its own.

use std::cell::{Cell, RefCell};
use std::collections::hash_map::{Entry, HashMap};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use palisade_contract::{Candidate, CircuitState, Monitor, UpstreamMonitor};

use crate::error::RequestError;
use crate::upstream::budget::Unsaid;
use crate::upstream::circuit::Admitted;
use crate::upstream::latencies::Latencies;
use crate::upstream::{Endpoint, Group, Members, Pool, Random, Upstream, connect, warmth};

/// One worker's connections to the endpoints of an upstream.
#[derive(Debug)]
pub(crate) struct Pools {
    pub(crate) upstream: Arc<Upstream>,
    pub(super) monitor: Arc<dyn Monitor>,
    pub(super) reached: RefCell<Rc<Reached>>,
    pub(super) retired: Cell<bool>,
    /// Kept from one choice to the next, so that none allocates.
    pub(super) candidates: RefCell<Vec<Candidate>>,
    pub(super) random: Random,
    /// Where what happens at the upstream as a whole is counted.
    pub(super) counted: Arc<dyn UpstreamMonitor>,
    /// Requests that the budget has not heard of.
    pub(super) unsaid: Unsaid,
    pub(super) latencies: Latencies,
}

/// The endpoints of an upstream at a moment, and a worker's connections to each of them.
#[derive(Debug)]
pub(crate) struct Reached {
    pub(super) members: Arc<Members>,
    /// In the order of the members.
    pub(super) pools: Vec<Rc<Pool>>,
}

impl Pools {
    pub(crate) fn new(upstream: &Arc<Upstream>, monitor: &Arc<dyn Monitor>) -> Rc<Self> {
        let none = Reached { members: Members::new(Vec::new()), pools: Vec::new() };
        let counted = monitor.upstream(&upstream.config.name);
        // The one before may have been open, and have had another circuit.
        counted.circuit_is(upstream.circuit.as_ref().map_or(CircuitState::Closed, |circuit| circuit.state()));
        Rc::new(Self {
            upstream: upstream.clone(),
            monitor: monitor.clone(),
            reached: RefCell::new(Rc::new(none)),
            retired: Cell::new(false),
            candidates: RefCell::default(),
            random: Random::new(),
            counted,
            unsaid: Unsaid::default(),
            latencies: Latencies::default(),
        })
    }

    /// How many endpoints there are at the moment.
    pub(crate) fn len(&self) -> usize {
        self.reached().pools.len()
    }

    /// The endpoints as they are now. Connections to those that stay are kept, and to those that are gone none comes back.
    pub(super) fn reached(&self) -> Rc<Reached> {
        let known = self.reached.borrow().clone();
        if known.members.id == self.upstream.members_id.load(Ordering::Acquire) {
            return known;
        }
        let members = self.upstream.members();
        let by_address = |pool: &Rc<Pool>| (pool.endpoint.address, pool.clone());
        let mut before: HashMap<SocketAddr, Rc<Pool>> = known.pools.iter().map(by_address).collect();
        let mut of = |endpoint: &Arc<Endpoint>| match before.entry(endpoint.address) {
            Entry::Occupied(pool) if pool.get().endpoint.is_same(endpoint) => pool.remove(),
            Entry::Occupied(_) | Entry::Vacant(_) => self.pool(endpoint),
        };
        let pools: Vec<_> = members.endpoints.iter().map(&mut of).collect();
        before.values().for_each(|gone| gone.retire());
        let reached = Rc::new(Reached { members, pools });
        self.reached.replace(reached.clone());
        reached
    }

    fn pool(&self, endpoint: &Arc<Endpoint>) -> Rc<Pool> {
        let monitor = self.monitor.endpoint(&self.upstream.config.name, &endpoint.address.to_string());
        let pool = Pool::new(endpoint, &self.upstream, monitor);
        if self.retired.get() {
            pool.retire();
        }
        warmth::keep_warm(&pool);
        pool
    }

    /// Lets one more request through, for as long as what comes back lives.
    pub(super) fn admit(&self) -> Result<Option<Admitted>, RequestError> {
        let Some(circuit) = &self.upstream.circuit else { return Ok(None) };
        let (admitted, changed) = circuit.admit().map_err(|why| {
            self.counted.circuit_refused(why);
            connect::refusal(why)
        })?;
        self.circuit_is(changed);
        Ok(Some(admitted))
    }

    /// One that was let through has ended so.
    pub(super) fn ended(&self, admitted: &mut Admitted, is_good: bool) {
        self.circuit_is(admitted.ended(is_good));
    }

    fn circuit_is(&self, state: Option<CircuitState>) {
        let Some(state) = state else { return };
        if self.upstream.circuit.as_ref().is_some_and(|circuit| circuit.is_gone()) {
            return;
        }
        self.counted.circuit_is(state);
        let upstream = self.upstream.config.name.as_str();
        match state {
            CircuitState::Open => tracing::warn!(upstream, "the circuit is open: too many requests have failed"),
            CircuitState::HalfOpen => tracing::info!(upstream, "the circuit is half open: a few requests are tried"),
            CircuitState::Closed => tracing::info!(upstream, "the circuit is closed again"),
        }
    }

    /// Closes connections that were not used for too long, makes those that are always to be open, and tells the others what
    /// was asked.
    pub(crate) fn sweep(&self) {
        let reached = self.reached();
        reached.pools.iter().for_each(|pool| pool.sweep());
        reached.pools.iter().for_each(warmth::keep_warm);
        self.unsaid.say(&self.upstream.budget);
    }

    /// The configuration has no such upstream any more: what is idle is closed, and so is what comes back.
    pub(crate) fn retire(&self) {
        self.retired.set(true);
        self.reached().pools.iter().for_each(|pool| pool.retire());
    }
}

impl Reached {
    /// No two lists of this process have the same, and none has the same before and after its endpoints' health has changed.
    pub(super) fn version(&self, group: &Group) -> u64 {
        u64::from(self.members.id) << 32 | u64::from(group.version())
    }
}
