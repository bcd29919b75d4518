//! An exchange's whole way through a chain, for servers whose answers are whole: what an embedder calls.
//!
//! The proxy does not: it streams bodies, and keeps the lease until the last byte.

use std::rc::Rc;
use std::time::Instant;

use http::StatusCode;

use crate::{Begun, Chain, Clock, Decision, Ended, Ending, Exchange, Lease, Name, Reply, RequestHead, ResponseHead};

impl Chain {
    /// Takes one exchange through the request filters, the application and the response filters; observers hear of its
    /// beginning and its end. What is returned is to be sent; where it is none, a plugin said to close without an answer.
    ///
    /// The application is not called where a plugin answers in its place. A plugin that fails makes the answer a 503,
    /// unless its policy is `open`. Dropping the future is the end of the exchange: its client has left.
    pub async fn exchange(
        self: &Rc<Self>,
        mut exchange: Box<Exchange>,
        clock: &dyn Clock,
        application: impl AsyncFnOnce(&RequestHead) -> Reply,
    ) -> Option<Reply> {
        let mut told = Told::begin(self.lease(exchange.id), &exchange, clock);
        let reply = through(&told.lease, &mut exchange, application).await;
        told.answered(reply.as_ref());
        reply
    }
}

async fn through(
    lease: &Lease,
    exchange: &mut Box<Exchange>,
    application: impl AsyncFnOnce(&RequestHead) -> Reply,
) -> Option<Reply> {
    let reply = match lease.request(exchange).await {
        Decision::Proceed => application(&exchange.request).await,
        Decision::Reply(reply, _) => *reply,
        Decision::Failed(_) => failed(),
        Decision::Close(_) => return None,
    };
    exchange.response = Some(ResponseHead { status: reply.status, headers: reply.headers });
    let decision = lease.response(exchange).await;
    let ResponseHead { status, headers } = exchange.response.take().unwrap_or_default();
    match decision {
        Decision::Proceed => Some(Reply { status, headers, body: reply.body }),
        Decision::Reply(reply, _) => Some(*reply),
        Decision::Failed(_) => Some(failed()),
        Decision::Close(_) => None,
    }
}

fn failed() -> Reply {
    Reply::text(StatusCode::SERVICE_UNAVAILABLE, "service unavailable\n")
}

/// An exchange that observers were told of. Dropping it tells them of its end, however it ended.
struct Told<'a> {
    lease: Lease,
    clock: &'a dyn Clock,
    began: Instant,
    ended: Ended,
}

impl<'a> Told<'a> {
    fn begin(lease: Lease, exchange: &Exchange, clock: &'a dyn Clock) -> Self {
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
        Self { lease, clock, began: clock.now(), ended }
    }

    fn answered(&mut self, reply: Option<&Reply>) {
        let Some(reply) = reply else {
            self.ended.ending = Ending::Closed;
            return;
        };
        self.ended.status = reply.status.as_u16();
        self.ended.ending = Ending::Complete;
        self.ended.response_bytes = u64::try_from(reply.body.len()).unwrap_or(u64::MAX);
        self.ended.first_byte_micros = self.micros();
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.clock.now().saturating_duration_since(self.began).as_micros()).unwrap_or(u64::MAX)
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.ended.duration_micros = self.micros();
        self.lease.ended(&self.ended);
        // There is no worker here that would do it soon.
        self.lease.chain().flush();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::testing::{CallLog, Does, Fake, exchange};
    use crate::{Filter, OnError, SystemClock};

    #[test]
    fn an_exchange_goes_all_the_way_and_observers_hear_of_it() {
        check(&Fake::new("a"), Some(200), "begun a; request a; response a; ended complete; flush a");
        check(
            &Fake::new("a").request(Does::Reply),
            Some(418),
            "begun a; request a; response a; ended complete; flush a",
        );
        check(
            &Fake::new("a").response(Does::Reply),
            Some(418),
            "begun a; request a; response a; ended complete; flush a",
        );
        check(
            &Fake::new("a").request(Does::Fail),
            Some(503),
            "begun a; request a; response a; ended complete; flush a",
        );
        check(
            &Fake::new("a").response(Does::Fail),
            Some(503),
            "begun a; request a; response a; ended complete; flush a",
        );
        let open = Fake::new("a").request(Does::Fail).on_error(OnError::Open);
        check(&open, Some(200), "begun a; request a; response a; ended complete; flush a");
        check(&Fake::new("a").request(Does::Close), None, "begun a; request a; ended closed; flush a");
        check(&Fake::new("a").response(Does::Close), None, "begun a; request a; response a; ended closed; flush a");
    }

    fn check(fake: &Fake, status: Option<u16>, calls: &str) {
        let log = CallLog::default();
        let chain = Chain::new(&[Rc::new(fake.clone().logging(&log)) as Rc<dyn Filter>]);
        let application = async |_: &RequestHead| Reply::text(StatusCode::OK, "hello\n");
        let way = pin!(chain.exchange(exchange("/"), &SystemClock, application));
        let Poll::Ready(reply) = way.poll(&mut Context::from_waker(Waker::noop())) else { panic!("nothing waits") };
        assert_eq!(reply.map(|reply| reply.status.as_u16()), status, "{fake:?}");
        assert_eq!(log.text(), calls);
    }

    #[test]
    fn a_client_that_leaves_ends_the_exchange() {
        let log = CallLog::default();
        let chain = Chain::new(&[Rc::new(Fake::new("a").logging(&log)) as Rc<dyn Filter>]);
        let application = async |_: &RequestHead| std::future::pending().await;
        {
            let way = pin!(chain.exchange(exchange("/"), &SystemClock, application));
            assert!(way.poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert_eq!(log.text(), "begun a; request a; ended client-gone; flush a");
    }
}
