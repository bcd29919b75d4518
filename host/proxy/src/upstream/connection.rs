//! What one exchange has of a connection to an endpoint: lent by a pool, and given back or cancelled.

use std::rc::Rc;

use hyper::body::Incoming;
use palisade_contract::UpstreamFault;

use crate::body::Upload;
use crate::upstream::Pool;
use crate::upstream::circuit::Admitted;
use crate::upstream::sender::Sender;
use crate::upstream::up::Up;

/// What one exchange has of a connection. Dropping it cancels whatever was under way, and over HTTP/1.1 closes it.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: Option<Sender>,
    is_used: bool,
    up: Rc<Up>,
    pool: Rc<Pool>,
    /// The exchange counts as under way for as long.
    admitted: Option<Admitted>,
}

impl Connection {
    /// Counts as an exchange of the endpoint until it is dropped.
    pub(super) fn new(pool: &Rc<Pool>, sender: Sender, up: Rc<Up>) -> Self {
        pool.endpoint.request_begins();
        Self { sender: Some(sender), is_used: false, up, pool: pool.clone(), admitted: None }
    }

    /// It was lent before.
    pub(super) fn used(mut self) -> Self {
        self.is_used = true;
        self
    }

    /// Whether there were exchanges on it before: the endpoint may have closed it by now.
    pub(crate) fn is_used(&self) -> bool {
        self.is_used
    }

    /// Whether other exchanges are on it at the same time.
    pub(crate) fn is_shared(&self) -> bool {
        self.sender.as_ref().is_some_and(Sender::is_shared)
    }

    /// Its exchange was let through, and is under way until this is dropped.
    pub(super) fn holds(&mut self, admitted: Admitted) {
        self.admitted = Some(admitted);
    }

    pub(crate) fn pool(&self) -> &Rc<Pool> {
        &self.pool
    }

    /// What sends a request; none between its end and its drop.
    pub(crate) fn sender(&mut self) -> Option<&mut Sender> {
        self.sender.as_mut()
    }

    /// Whether the answer's body, which gives no more, was not ended by the endpoint.
    pub(crate) fn is_cut_short(&self, incoming: &Incoming) -> bool {
        self.sender.as_ref().is_some_and(|sender| sender.is_cut_short(incoming))
    }

    /// Its exchange has ended well. It can be used again, unless the request's body was never sent to its end.
    pub(crate) fn release(mut self, upload: &Upload) {
        if !upload.is_ended() {
            return;
        }
        match self.sender.take() {
            Some(Sender::Http1(sender, task)) => self.pool.keep(sender, task, &self.up),
            Some(Sender::Http2(stream)) => drop(stream),
            None => {}
        }
    }

    /// It was made for nobody yet, and is kept for whoever comes.
    pub(super) fn rest(mut self) {
        if let Some(Sender::Http1(sender, task)) = self.sender.take_if(|sender| !sender.is_shared()) {
            self.pool.keep(sender, task, &self.up);
        }
    }

    /// Its endpoint failed while it was used.
    pub(crate) fn failed(&self, why: UpstreamFault) {
        self.pool.endpoint.failed(why);
        self.pool.monitor.failed(why);
    }

    /// Its endpoint is silent, and may be gone: no other exchange gets it.
    pub(crate) fn distrust(&self) {
        if let Some(sender) = &self.sender {
            sender.distrust();
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            sender.cancel();
        }
        self.pool.endpoint.request_ends();
        self.pool.tidy();
        self.admitted = None;
        self.pool.has_room_again();
    }
}
