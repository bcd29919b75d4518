//! One worker's connections to one endpoint: taken, used for one request at a time, returned.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use hyper::client::conn::http1::SendRequest;
use palisade_contract::{EndpointMonitor, UpstreamFault};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::body::{RequestBody, Upload};
use crate::upstream::{Endpoint, Upstream};

/// One worker's connections to one endpoint.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) monitor: Arc<dyn EndpointMonitor>,
    /// Last used last, which is taken first: what is not needed grows old.
    idle: RefCell<Vec<Idle>>,
    open: Cell<usize>,
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
            open: Cell::new(0),
            retired: Cell::new(false),
        })
    }

    /// The connection that was used last, if one is still good.
    pub(crate) fn take(self: &Rc<Self>) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        while let Some(Idle { sender, task, up, since }) = idle.pop() {
            if let Some(up) = up.upgrade()
                && !sender.is_closed()
                && since.elapsed() < self.upstream.config.idle_timeout
            {
                return Some(self.lend(sender, task, up));
            }
        }
        None
    }

    /// A connection in use, new or taken, and the task that moves its bytes.
    pub(crate) fn lend(self: &Rc<Self>, sender: SendRequest<RequestBody>, task: AbortHandle, up: Rc<Up>) -> Connection {
        self.endpoint.request_begins();
        Connection { sender: Some(sender), task, up, pool: self.clone() }
    }

    /// Counts one more connection for as long as the guard lives; none where there are as many as there may be.
    pub(crate) fn open(self: &Rc<Self>) -> Option<OpenConnection> {
        if self.open.get() >= self.upstream.config.connections {
            return None;
        }
        self.open.set(self.open.get() + 1);
        Some(OpenConnection(self.clone()))
    }

    /// Closes what is idle, and whatever comes back.
    pub(crate) fn retire(&self) {
        self.retired.set(true);
        self.idle.borrow_mut().clear();
    }

    pub(crate) fn sweep(&self) {
        let timeout = self.upstream.config.idle_timeout;
        self.idle.borrow_mut().retain(|idle| !idle.sender.is_closed() && idle.since.elapsed() < timeout);
    }
}

/// A connection that is up, which its endpoint's monitor hears of. It lasts as long as anybody uses the connection: the
/// task that speaks HTTP on it, or a tunnel that came after.
#[derive(Debug)]
pub(crate) struct Up(OpenConnection);

impl Up {
    pub(crate) fn new(open: OpenConnection) -> Rc<Self> {
        open.0.monitor.connected();
        Rc::new(Self(open))
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.0.0.monitor.disconnected();
    }
}

/// A connection that counts against its endpoint's limit until it is closed.
#[derive(Debug)]
pub(crate) struct OpenConnection(Rc<Pool>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get().saturating_sub(1));
    }
}

/// A connection lent to one exchange. Dropping it closes it: whatever was under way on it is cancelled.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: Option<SendRequest<RequestBody>>,
    task: AbortHandle,
    up: Rc<Up>,
    pool: Rc<Pool>,
}

impl Connection {
    /// What sends a request on it.
    pub(crate) fn sender(&mut self) -> Option<&mut SendRequest<RequestBody>> {
        self.sender.as_mut()
    }

    pub(crate) fn pool(&self) -> &Rc<Pool> {
        &self.pool
    }

    /// Its exchange has ended well. It can be used again, unless the request's body was never sent to its end.
    pub(crate) fn release(mut self, upload: &Upload) {
        if !upload.is_ended() {
            return;
        }
        let Some(sender) = self.sender.take() else { return };
        if self.pool.retired.get() {
            return;
        }
        let mut idle = self.pool.idle.borrow_mut();
        if !sender.is_closed() && idle.len() < self.pool.upstream.config.idle_connections {
            let up = Rc::downgrade(&self.up);
            idle.push(Idle { sender, task: self.task.clone(), up, since: Instant::now() });
        }
    }

    /// Its endpoint failed while it was used.
    pub(crate) fn failed(&self, why: UpstreamFault) {
        self.pool.endpoint.failed();
        self.pool.monitor.failed(why);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.sender.is_some() {
            // Not given back: without this, a request's body would go on being sent to nobody's use.
            self.task.abort();
        }
        self.pool.endpoint.request_ends();
    }
}
