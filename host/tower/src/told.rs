//! An exchange that observers were told of, until they are told of its end.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use palisade_contract::{Begun, Chain, Clock, Ended, Ending, Exchange, Lease, Name, SystemClock};

/// An exchange's lease. Dropping it tells observers of the end, however it came to that.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) lease: Lease,
    began: Instant,
    ended: Ended,
    request_bytes: Arc<AtomicU64>,
}

impl Told {
    pub(crate) fn begin(chain: &Rc<Chain>, exchange: &Exchange, request_bytes: Arc<AtomicU64>) -> Self {
        let lease = chain.lease(exchange.id);
        let listener = exchange.connection.listener;
        lease.begun(&Begun { exchange: exchange.id, listener, route: exchange.route });
        let ended = Ended {
            exchange: exchange.id,
            listener,
            route: exchange.route,
            upstream: Name::NONE,
            endpoint: Name::NONE,
            client: exchange.connection.client.ip(),
            method: exchange.request.method.clone(),
            protocol: exchange.protocol,
            status: 0,
            ending: Ending::ClientGone,
            request_bytes: 0,
            response_bytes: 0,
            duration_micros: 0,
            first_byte_micros: 0,
        };
        Self { lease, began: SystemClock.now(), ended, request_bytes }
    }

    /// A response's head goes out.
    pub(crate) fn responds(&mut self, status: u16) {
        self.ended.status = status;
        self.ended.first_byte_micros = self.micros();
    }

    pub(crate) fn ends(&mut self, ending: Ending) {
        self.ended.ending = ending;
    }

    pub(crate) fn response_bytes(&mut self, bytes: u64) {
        self.ended.response_bytes = bytes;
    }

    fn micros(&self) -> u64 {
        u64::try_from(SystemClock.now().saturating_duration_since(self.began).as_micros()).unwrap_or(u64::MAX)
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.ended.duration_micros = self.micros();
        self.ended.request_bytes = self.request_bytes.load(Ordering::Relaxed);
        self.lease.ended(&self.ended);
    }
}
