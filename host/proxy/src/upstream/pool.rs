//! One worker's connections to one endpoint: taken, used, returned. Over HTTP/1.1 by one exchange at a time, over HTTP/2 by
//! as many as the upstream and the endpoint allow.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use hyper::client::conn::http1::SendRequest;
use palisade_config::UpstreamProtocol;
use palisade_contract::EndpointMonitor;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::body::RequestBody;
use crate::moment;
use crate::upstream::line::{Line, Waiting};
use crate::upstream::pick::Random;
use crate::upstream::sender::Sender;
use crate::upstream::shared::Shared;
use crate::upstream::up::{OpenConnection, Up};
use crate::upstream::warmth::Warmth;
use crate::upstream::{Connection, Endpoint, Upstream};

/// What a connection is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Exchange,
    /// The connection may become a tunnel: HTTP/1.1 alone (RFC 9113, section 8.6).
    Upgrade,
    /// Bytes pass as they are, whatever they mean.
    Stream,
}

/// One worker's connections to one endpoint.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) monitor: Arc<dyn EndpointMonitor>,
    /// Last used last, which is taken first: what is not needed grows old.
    idle: RefCell<Vec<Idle>>,
    /// Those over HTTP/2, in use or not. The first that has room is taken: what is not needed grows old.
    shared: RefCell<Vec<Rc<Shared>>>,
    /// Whether the next connection is expected to be one over HTTP/2.
    expects_http2: Cell<bool>,
    /// Streams that the endpoint took at a time when it was asked last.
    streams_known: Cell<usize>,
    /// Of whoever makes a connection that others wait for, to share it.
    turn: Semaphore,
    open: Cell<usize>,
    /// Requests that wait for room.
    line: Rc<Line>,
    /// Those that need a connection alone, where the others share some: room for the others is none for them.
    line_apart: Rc<Line>,
    /// What keeps connections open that nobody uses.
    pub(super) warmth: Warmth,
    pub(super) random: Random,
    /// Its upstream is gone from the configuration, and it takes no connection back. An idle connection would keep the
    /// pool, and the pool the connection.
    retired: Cell<bool>,
}

#[derive(Debug)]
struct Idle {
    sender: SendRequest<RequestBody>,
    task: AbortHandle,
    up: Weak<Up>,
    since: Instant,
}

impl Pool {
    pub(crate) fn new(
        endpoint: &Arc<Endpoint>,
        upstream: &Arc<Upstream>,
        monitor: Arc<dyn EndpointMonitor>,
    ) -> Rc<Self> {
        Rc::new(Self {
            endpoint: endpoint.clone(),
            upstream: upstream.clone(),
            monitor,
            idle: RefCell::default(),
            shared: RefCell::default(),
            expects_http2: Cell::new(upstream.config.protocol != UpstreamProtocol::Http1),
            streams_known: Cell::new(STREAMS_UNKNOWN),
            turn: Semaphore::new(1),
            open: Cell::new(0),
            line: Rc::default(),
            line_apart: Rc::default(),
            warmth: Warmth::default(),
            random: Random::new(),
            retired: Cell::new(false),
        })
    }

    /// As [`Pool::take`], for whoever has just come: those who wait come first.
    pub(crate) fn offer(self: &Rc<Self>, purpose: Purpose) -> Option<Connection> {
        if self.is_waited_for(purpose) { None } else { self.take(purpose) }
    }

    /// A connection that has room for one more exchange and is still good.
    pub(crate) fn take(self: &Rc<Self>, purpose: Purpose) -> Option<Connection> {
        match purpose {
            Purpose::Exchange => self.take_stream().or_else(|| self.take_idle()),
            Purpose::Upgrade => self.take_idle(),
            Purpose::Stream => None,
        }
    }

    fn take_idle(self: &Rc<Self>) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        while let Some(Idle { sender, task, up, since }) = idle.pop() {
            if let Some(up) = up.upgrade()
                && !sender.is_closed()
                && !up.is_old()
                && moment::now().saturating_duration_since(since) < self.upstream.config.idle_timeout
            {
                return Some(Connection::new(self, Sender::Http1(sender, task), up).used());
            }
        }
        None
    }

    fn take_stream(self: &Rc<Self>) -> Option<Connection> {
        let shared = self.shared.borrow();
        let (stream, up) = shared.iter().filter(|shared| self.has_room(shared)).find_map(Shared::stream)?;
        Some(Connection::new(self, Sender::Http2(stream), up).used())
    }

    fn has_room(&self, shared: &Shared) -> bool {
        let Some(allowed) = shared.allowed().filter(|_| self.is_fresh(shared)) else { return false };
        self.streams_known.set(allowed);
        shared.streams() < allowed.min(self.upstream.config.streams)
    }

    fn is_fresh(&self, shared: &Shared) -> bool {
        let timeout = self.upstream.config.idle_timeout;
        shared.is_good()
            && !shared.is_old()
            && shared.unused_since().is_none_or(|since| moment::now().saturating_duration_since(since) < timeout)
    }

    /// A new connection over HTTP/1.1, in use.
    pub(crate) fn lend(self: &Rc<Self>, sender: SendRequest<RequestBody>, task: AbortHandle, up: Rc<Up>) -> Connection {
        Connection::new(self, Sender::Http1(sender, task), up)
    }

    /// A new connection over HTTP/2, in use, and there for others. None where it is gone already.
    pub(crate) fn lend_shared(self: &Rc<Self>, shared: Rc<Shared>) -> Option<Connection> {
        let (stream, up) = shared.stream()?;
        if !self.retired.get() {
            self.shared.borrow_mut().push(shared);
        }
        Some(Connection::new(self, Sender::Http2(stream), up))
    }

    /// The turn to make a connection, where others who want one are better served by waiting for it.
    pub(crate) fn turn(&self, purpose: Purpose) -> Option<&Semaphore> {
        (purpose == Purpose::Exchange && self.expects_http2.get()).then_some(&self.turn)
    }

    /// What a connection turned out to speak.
    pub(crate) fn speaks_http2(&self, speaks: bool) {
        self.expects_http2.set(speaks);
    }

    /// How many streams a new connection is taken to allow until the endpoint has said it.
    pub(crate) fn streams(&self) -> usize {
        self.streams_known.get().clamp(1, self.upstream.config.streams)
    }

    /// Counts one more connection for as long as the guard lives; none where there are as many as there may be.
    pub(crate) fn open(self: &Rc<Self>) -> Option<OpenConnection> {
        if self.open.get() >= self.upstream.config.connections {
            return None;
        }
        self.open.set(self.open.get() + 1);
        Some(OpenConnection::of(self))
    }

    /// Whether a request of this purpose that comes now need not wait for others to end.
    pub(super) fn has_room_for(&self, purpose: Purpose) -> bool {
        if self.is_waited_for(purpose) {
            return false;
        }
        let has_stream = || purpose == Purpose::Exchange && self.shared.borrow().iter().any(|one| self.has_room(one));
        self.open.get() < self.upstream.config.connections || !self.idle.borrow().is_empty() || has_stream()
    }

    /// One of those that were counted is closed.
    pub(super) fn closed(&self) {
        self.open.set(self.open.get().saturating_sub(1));
        self.has_room_again();
    }

    /// How many there are.
    pub(super) fn open_now(&self) -> usize {
        self.open.get()
    }

    /// Whether its upstream is gone from the configuration.
    pub(super) fn is_retired(&self) -> bool {
        self.retired.get()
    }

    /// Whether others wait already for room that is good for this.
    pub(super) fn is_waited_for(&self, purpose: Purpose) -> bool {
        !self.line.is_empty() || (purpose != Purpose::Exchange && !self.line_apart.is_empty())
    }

    /// One more waits for room, until this is dropped.
    pub(super) fn wait(self: &Rc<Self>, purpose: Purpose) -> Waiting {
        let is_apart = purpose != Purpose::Exchange && self.expects_http2.get();
        let line = if is_apart { &self.line_apart } else { &self.line };
        Waiting::begin(self, line)
    }

    /// There may be room for one of those that wait. Those of each line look for themselves whether it is good for them.
    pub(super) fn has_room_again(&self) {
        self.line_apart.has_room_again();
        self.line.has_room_again();
    }

    /// Closes what is idle, and whatever comes back.
    pub(crate) fn retire(&self) {
        self.retired.set(true);
        self.idle.borrow_mut().clear();
        self.shared.borrow_mut().clear();
    }

    pub(crate) fn sweep(&self) {
        let timeout = self.upstream.config.idle_timeout;
        let is_old = |idle: &Idle| idle.up.upgrade().is_none_or(|up| up.is_old());
        self.idle
            .borrow_mut()
            .retain(|idle| !idle.sender.is_closed() && idle.since.elapsed() < timeout && !is_old(idle));
        self.shared.borrow_mut().retain(|shared| self.is_fresh(shared));
    }

    /// Closes unused connections over HTTP/2 beyond those that are kept.
    pub(super) fn tidy(&self) {
        let mut kept = 0;
        self.shared.borrow_mut().retain(|shared| {
            kept += usize::from(shared.unused_since().is_some());
            shared.unused_since().is_none() || kept <= self.upstream.config.idle_connections
        });
    }

    /// Takes back a connection over HTTP/1.1, where it may be used again.
    pub(super) fn keep(&self, sender: SendRequest<RequestBody>, task: AbortHandle, up: &Rc<Up>) {
        let mut idle = self.idle.borrow_mut();
        let has_room = idle.len() < self.upstream.config.idle_connections;
        if has_room && !self.retired.get() && !sender.is_closed() && !up.is_old() {
            idle.push(Idle { sender, task, up: Rc::downgrade(up), since: moment::now() });
        }
    }
}

/// What RFC 9113, section 6.5.2, says that an endpoint should allow at least.
const STREAMS_UNKNOWN: usize = 100;
