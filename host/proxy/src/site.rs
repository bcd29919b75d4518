//! A listener as one worker serves it: its routes, its chains on this worker, its upstreams' connections.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::HeaderValue;
use palisade_config::Action;
use palisade_contract::{Alternatives, Chain, Exchange, ExchangeId, Filter, ListenerMonitor, Name, Refusal};
use rustls::ServerConfig;
use tokio::sync::Notify;

use crate::client::SlowLane;
use crate::explain::Explanations;
use crate::hygiene::Trust;
use crate::places::{Full, OfAddress, Place, Places};
use crate::refusals::Refusals;
use crate::routes::Routes;
use crate::split::{Chosen, Split};
use crate::tls::{Challenges, Fingerprinting, Handshakes};
use crate::upstream::{Mirror, Pools};
use crate::worker::Own;

/// A listener on one worker, from one plan to the next. Connections hold this one, so that each request is served by the
/// plan of its own moment.
#[derive(Debug)]
pub(crate) struct Listening(RefCell<Rc<Site>>);

impl Listening {
    pub(crate) fn new(site: Rc<Site>) -> Rc<Self> {
        Rc::new(Self(RefCell::new(site)))
    }

    /// As it is served now. Whoever keeps this for longer than an exchange keeps a plan that is gone.
    pub(crate) fn site(&self) -> Rc<Site> {
        self.0.borrow().clone()
    }

    pub(crate) fn replace(&self, site: Rc<Site>) {
        self.0.replace(site);
    }
}

/// A listener on one worker, by one plan.
#[derive(Debug)]
pub(crate) struct Site {
    /// The plan's.
    pub(crate) generation: u64,
    pub(crate) name: Name,
    pub(crate) config: Arc<palisade_config::Listener>,
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// Where HTTP/3 is spoken.
    pub(crate) quic: Option<Arc<quinn::ServerConfig>>,
    /// What authorities ask for without TLS.
    pub(crate) challenges: Arc<Challenges>,
    /// Whether a plugin of the listener may ask for clients' fingerprints.
    pub(crate) fingerprinting: Fingerprinting,
    /// Connections at the moment, all workers and all plans together.
    pub(crate) connections: Arc<Places>,
    pub(crate) monitor: Arc<dyn ListenerMonitor>,
    /// Whether what was asked is kept for the access log.
    pub(crate) logs_access: bool,
    pub(crate) worker: Rc<Worker>,
    /// What connections pass, and requests that no route is for.
    pub(crate) chain: Rc<Chain>,
    pub(crate) routes: Routes,
    /// In the order of the configuration.
    pub(crate) ways: Vec<Way>,
    /// The least that a body may wait for its client, on any route.
    pub(crate) patience_min: Duration,
}

/// Where the requests of one route go.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) name: Name,
    pub(crate) chain: Rc<Chain>,
    pools: Rc<Pools>,
    /// Where else plugins may send its streams.
    pub(crate) alternatives: Vec<Rc<Pools>>,
    /// The names of these.
    pub(crate) offered: Arc<[Name]>,
    /// Where there are several.
    split: Option<Split>,
    /// Who gets copies.
    pub(crate) mirror: Option<Mirror>,
    pub(crate) streams: Streams,
}

impl Way {
    /// The way of this route, where these are the worker's upstreams.
    pub(crate) fn new(
        (name, chain): (Name, Rc<Chain>),
        config: &palisade_config::Route,
        all: &[Rc<Pools>],
    ) -> Option<Self> {
        let pools = all.get(config.upstream)?.clone();
        let split = config.split.as_ref().and_then(|split| {
            let shares = split.shares.iter().filter_map(|share| Some((share.weight, all.get(share.upstream)?.clone())));
            Split::new(shares, split.sticky.as_ref())
        });
        let mirror = config.mirror.as_ref();
        let mirror = mirror.and_then(|mirror| Some(Mirror::new(mirror, all.get(mirror.upstream)?)));
        let alternatives: Vec<_> = config.alternatives.iter().filter_map(|place| all.get(*place).cloned()).collect();
        let offered = alternatives.iter().map(|pools| pools.upstream.name).collect();
        let streams = Streams::new(&config.streams);
        Some(Self { name, chain, pools, alternatives, offered, split, mirror, streams })
    }

    /// Where this request goes, and what its client is told so that the next one goes there, too.
    pub(crate) fn choose(&self, exchange: &Exchange) -> Chosen<'_> {
        let chosen = self.split.as_ref().and_then(|split| split.choose(exchange));
        chosen.unwrap_or((&self.pools, None))
    }

    /// What plugins may choose among, if there is a choice.
    pub(crate) fn alternatives(&self) -> Option<Box<Alternatives>> {
        let offered = self.offered.clone();
        let any = !offered.is_empty();
        any.then(|| Box::new(Alternatives { offered, chosen: None, is_decided: false }))
    }
}

/// What a route allows to exchanges that last.
#[derive(Debug)]
pub(crate) struct Streams {
    /// The protocols that may be upgraded to.
    pub(crate) upgrades: Vec<HeaderValue>,
    pub(crate) tunnel_timeout: Duration,
    /// Instead of the listener's and the upstream's.
    pub(crate) body_timeout: Option<Duration>,
    /// Instead of the upstream's.
    pub(crate) response_timeout: Option<Duration>,
    pub(crate) total_timeout: Option<Duration>,
}

impl Streams {
    pub(crate) fn new(config: &palisade_config::Streams) -> Self {
        Self {
            upgrades: config.upgrades.iter().filter_map(|name| HeaderValue::from_str(name).ok()).collect(),
            tunnel_timeout: config.tunnel_timeout,
            body_timeout: config.body_timeout,
            response_timeout: config.response_timeout,
            total_timeout: config.total_timeout,
        }
    }
}

impl Site {
    /// The way for this authority and path.
    pub(crate) fn way(&self, authority: &[u8], path: &str) -> Option<&Way> {
        self.routes.find(authority, path).and_then(|index| self.ways.get(index))
    }

    /// Whether requests may come before their client's handshake is done.
    pub(crate) fn takes_early_data(&self) -> bool {
        self.config.tls.as_ref().is_some_and(|tls| tls.early_data)
    }

    /// Whether any route takes an upgrade to anything.
    pub(crate) fn takes_upgrades(&self) -> bool {
        self.ways.iter().any(|way| !way.streams.upgrades.is_empty())
    }

    /// A place for a connection of this client.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn place(&self, client: SocketAddr) -> Result<Place, Refusal> {
        // What is behind a trusted proxy is not one client.
        let is_of = |networks| Trust::of(client.ip(), networks) == Trust::Proxy;
        let is_proxy = is_of(&self.config.trusted_proxies) || is_of(&self.config.proxy_protocol);
        let limits = &self.config.limits;
        let of_address = limits.connections_per_address.filter(|_| !is_proxy);
        self.connections.take(limits.connections, client.ip(), of_address).map_err(|full| match full {
            Full::Listener => Refusal::Limit,
            Full::Address => Refusal::AddressLimit,
        })
    }

    /// One of the places that a client's address may have, where somebody in between has said whose connection it is.
    ///
    /// # Errors
    /// It has all of them.
    pub(crate) fn place_of(&self, client: SocketAddr) -> Result<Option<OfAddress>, Refusal> {
        let is_proxy = Trust::of(client.ip(), &self.config.trusted_proxies) == Trust::Proxy;
        let limit = self.config.limits.connections_per_address.filter(|_| !is_proxy);
        let taken = limit.map(|limit| self.connections.take_of(client.ip(), limit)).transpose();
        taken.map_err(|_| Refusal::AddressLimit)
    }

    /// A connection of this client is refused or cut: it is counted and, now and then, logged.
    pub(crate) fn refused(&self, client: SocketAddr, why: Refusal, detail: Option<&dyn Display>) {
        self.monitor.connection_refused(why);
        self.worker.refusals.note(&self.config.name, client, why, detail);
    }

    /// Where this listener sends everything, if it does: the port of `https` and the status.
    pub(crate) fn redirect(&self) -> Option<(u16, u16)> {
        match &self.config.action {
            Action::RedirectToHttps { port, status } => Some((*port, *status)),
            Action::Routes(_) => None,
        }
    }
}

/// What is one of its kind on a worker.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Requests that are to be explained.
    pub(crate) explanations: Arc<Explanations>,
    handed_over: Arc<AtomicBool>,
    /// When refused connections were last logged.
    pub(crate) refusals: Refusals,
    pub(crate) handshakes: Handshakes,
    pub(crate) slow_lane: SlowLane,
    /// Those of the plan, and those of earlier plans that exchanges still hold.
    filters: RefCell<Vec<Rc<dyn Filter>>>,
    index: usize,
    /// The worker's own number in the upper bits, so that no two workers give the same.
    next: Cell<u64>,
    observed: Cell<bool>,
    wake_flusher: Notify,
    drain_limit: Cell<Duration>,
}

impl Worker {
    pub(crate) fn new(own: Own) -> Rc<Self> {
        let Own { index, explanations, handed_over } = own;
        let number = u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1);
        Rc::new(Self {
            explanations,
            handed_over,
            refusals: Refusals::default(),
            handshakes: Handshakes::default(),
            slow_lane: SlowLane::default(),
            filters: RefCell::default(),
            index,
            next: Cell::new(number << 48),
            observed: Cell::new(false),
            wake_flusher: Notify::new(),
            drain_limit: Cell::default(),
        })
    }

    /// These are the plan's filters from now on. Others are flushed until nobody holds them any more.
    pub(crate) fn serves<'a>(&self, filters: impl Iterator<Item = &'a Rc<dyn Filter>>) {
        let mut known = self.filters.borrow_mut();
        for filter in filters {
            if !known.iter().any(|known| Rc::ptr_eq(known, filter)) {
                known.push(filter.clone());
            }
        }
    }

    /// Whether another process accepts on the same sockets.
    pub(crate) fn is_handed_over(&self) -> bool {
        self.handed_over.load(Ordering::Relaxed)
    }

    /// Whether it does what one worker does for all.
    pub(crate) fn is_first(&self) -> bool {
        self.index == 0
    }

    /// Its number, from zero.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// How long what is under way may go on after its listener has gone.
    pub(crate) fn drain_limit(&self) -> Duration {
        self.drain_limit.get()
    }

    pub(crate) fn set_drain_limit(&self, limit: Duration) {
        self.drain_limit.set(limit);
    }

    /// A number that no exchange and no connection had before.
    pub(crate) fn number(&self) -> u64 {
        self.next.set(self.next.get().wrapping_add(1));
        self.next.get()
    }

    pub(crate) fn exchange_id(&self) -> ExchangeId {
        ExchangeId(self.number())
    }

    /// An observer has something that is to be handed over soon.
    pub(crate) fn observed(&self) {
        if !self.observed.replace(true) {
            self.wake_flusher.notify_one();
        }
    }

    /// Hands over everything that observers have kept, and lets go of the filters that nobody else holds: no exchange will
    /// ever come to them again.
    pub(crate) fn flush(&self) {
        self.observed.set(false);
        self.filters.borrow_mut().retain(|filter| {
            filter.flush();
            Rc::strong_count(filter) > 1
        });
    }

    /// Hands over, within 10 ms of the event, for as long as it is polled.
    pub(crate) async fn flush_always(&self) {
        loop {
            self.wake_flusher.notified().await;
            tokio::time::sleep(std::time::Duration::from_millis(8)).await;
            self.flush();
        }
    }
}
