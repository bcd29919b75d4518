//! Filters without a sandbox, for tests of what surrounds them.

mod monitor;

pub use monitor::Deaf;

use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::{
    Admission, Begun, Candidate, Connection, ConnectionId, Ended, Exchange, ExchangeId, Failure, Filter, Flow, Name,
    OnError, Phase, Phases, Pick, PickRequest, Protocol, Reply, RequestHead, Scheme,
};

/// A filter that does what it was told and writes down that it was called. It has every phase.
#[derive(Debug, Clone)]
pub struct Fake {
    name: &'static str,
    connection: Does,
    request: Does,
    response: Does,
    pick: Does,
    resumed: Cell<bool>,
    log: CallLog,
    /// What its failure means.
    pub on_error: Option<OnError>,
}

/// What a [`Fake`] does in one phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// Lets pass; as a balancer picks the first.
    Proceed,
    /// Answers 418; as a balancer picks none.
    Reply,
    /// Closes.
    Close,
    /// Fails.
    Fail,
    /// Waits until it is asked a second time, then proceeds; as a balancer picks none.
    Wait,
}

impl Fake {
    /// A filter that lets everything pass.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        let does = Does::Proceed;
        let log = CallLog::default();
        let resumed = Cell::new(false);
        Self { name, connection: does, request: does, response: does, pick: does, resumed, log, on_error: None }
    }

    /// With this in the connection phase.
    #[must_use]
    pub fn connection(self, connection: Does) -> Self {
        Self { connection, ..self }
    }

    /// With this in the request phase.
    #[must_use]
    pub fn request(self, request: Does) -> Self {
        Self { request, ..self }
    }

    /// With this in the response phase.
    #[must_use]
    pub fn response(self, response: Does) -> Self {
        Self { response, ..self }
    }

    /// With this as a balancer.
    #[must_use]
    pub fn pick(self, pick: Does) -> Self {
        Self { pick, ..self }
    }

    /// With this policy.
    #[must_use]
    pub fn on_error(self, on_error: OnError) -> Self {
        Self { on_error: Some(on_error), ..self }
    }

    /// Writing into this log.
    #[must_use]
    pub fn logging(self, log: &CallLog) -> Self {
        Self { log: log.clone(), ..self }
    }

    fn flow(does: Does) -> Result<Flow, Failure> {
        match does {
            Does::Proceed => Ok(Flow::Proceed),
            Does::Reply => Ok(Flow::Reply(Box::new(Reply {
                status: StatusCode::IM_A_TEAPOT,
                headers: HeaderMap::new(),
                body: Bytes::from_static(b"teapot\n"),
            }))),
            Does::Close => Ok(Flow::Close),
            Does::Fail => Err(Failure::Reported("told to".into())),
            Does::Wait => Ok(Flow::Wait),
        }
    }
}

impl Filter for Fake {
    fn name(&self) -> &str {
        self.name
    }

    fn phases(&self) -> Phases {
        Phase::ALL.into_iter().collect()
    }

    fn on_error(&self) -> Option<OnError> {
        self.on_error
    }

    fn connection(&self, _connection: &Connection) -> Result<Admission, Failure> {
        match Self::flow(self.connection)? {
            Flow::Proceed => Ok(Admission::Accept),
            Flow::Reply(_) | Flow::Close | Flow::Wait => Ok(Admission::Refuse),
        }
    }

    fn request(&self, _exchange: &mut Box<Exchange>) -> Result<Flow, Failure> {
        self.log.add("request", self.name);
        Self::flow(self.request)
    }

    fn response(&self, _exchange: &mut Box<Exchange>) -> Result<Flow, Failure> {
        self.log.add("response", self.name);
        Self::flow(self.response)
    }

    fn resume(
        &self,
        _phase: Phase,
        _exchange: &mut Box<Exchange>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Flow, Failure>> {
        self.log.add("resume", self.name);
        if self.resumed.replace(true) {
            return Poll::Ready(Ok(Flow::Proceed));
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn keeps_exchanges(&self) -> bool {
        [self.request, self.response].contains(&Does::Wait)
    }

    fn left(&self, _exchange: ExchangeId) {
        self.log.add("left", self.name);
    }

    fn pick(
        &self,
        _exchange: &mut Box<Exchange>,
        _request: &PickRequest,
        _candidates: &[Candidate],
    ) -> Result<Pick, Failure> {
        match Self::flow(self.pick)? {
            Flow::Proceed => Ok(Pick::Endpoint(0)),
            Flow::Reply(_) | Flow::Close | Flow::Wait => Ok(Pick::None),
        }
    }

    fn begun(&self, _begun: &Begun) {
        self.log.add("begun", self.name);
    }

    fn ended(&self, ended: &Ended) {
        self.log.add("ended", ended.ending.as_str());
    }

    fn flush(&self) {
        self.log.add("flush", self.name);
    }
}

/// Who was called, in order.
#[derive(Debug, Clone, Default)]
pub struct CallLog(Rc<RefCell<Vec<(&'static str, &'static str)>>>);

impl CallLog {
    fn add(&self, phase: &'static str, name: &'static str) {
        self.0.borrow_mut().push((phase, name));
    }

    /// Such as `request a b; response b a`.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut last = "";
        for (phase, name) in self.0.borrow().iter() {
            if *phase != last {
                text.push_str(if last.is_empty() { "" } else { "; " });
                text.push_str(phase);
                last = phase;
            }
            text.push(' ');
            text.push_str(name);
        }
        text
    }
}

/// What a future gives that has nothing to wait for.
///
/// # Panics
/// It waits.
#[must_use]
#[expect(clippy::panic, reason = "for tests alone")]
pub fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

/// A connection of a client at 192.0.2.7.
#[must_use]
pub fn connection() -> Connection {
    Connection {
        id: ConnectionId(1),
        client: SocketAddr::from((Ipv4Addr::new(192, 0, 2, 7), 50_000)),
        local: SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 443)),
        listener: Name(1),
        scheme: Scheme::Https,
        tls: None,
    }
}

/// A GET for this target at `www.foobar.com`. A target that is none becomes `/`.
#[must_use]
pub fn exchange(target: &str) -> Box<Exchange> {
    let mut request = RequestHead::default();
    request.target = target.parse().unwrap_or(request.target);
    request.authority = Some(http::HeaderValue::from_static("www.foobar.com"));
    Exchange::new(ExchangeId(1), Arc::new(connection()), Protocol::Http2, request)
}
