//! Everything that can be asked of a filter about one exchange, in the order of the host, and what came of it in words.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use palisade_contract::{
    Begun, Clock, Connection, Direction, Edits, Ended, Exchange, Failure, Filter, Flow, Handling, Phase, PickRequest,
    Piece, Protocol, ResponseHead, Side, StreamPiece, StreamWish, SystemClock, Tls, Verdict, Wish, testing,
};

use super::asked::Asked;

/// How often a filter that waits is asked again.
const RESUMED_MAX: usize = 10;

/// A clock that goes when it is told to.
#[derive(Debug)]
pub(super) struct Still {
    start: Instant,
    millis: AtomicU64,
}

impl Default for Still {
    fn default() -> Self {
        Self { start: SystemClock.now(), millis: AtomicU64::new(0) }
    }
}

impl Clock for Still {
    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.millis.load(Ordering::Relaxed))
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.millis.load(Ordering::Relaxed))
    }
}

/// What a filter says, does and changes.
pub(super) fn play(filter: &Rc<dyn Filter>, asked: &Asked, clock: &Still) -> Vec<String> {
    clock.millis.fetch_add(asked.millis, Ordering::Relaxed);
    let mut said = Vec::new();
    let mut exchange = exchange(asked, Protocol::Http2);
    let has = |phase: Phase| filter.phases().has(phase);
    if has(Phase::Connection) {
        said.push(format!("{:?}", filter.connection(&exchange.connection)));
    }
    filter.begun(&Begun { exchange: exchange.id, listener: exchange.connection.listener, route: exchange.route });
    if has(Phase::Request) {
        let flow = decided(filter, &mut exchange);
        said.push(format!("{flow:?} {:?}", exchange.request));
    }
    if has(Phase::RequestBody) {
        body(filter, Side::Request, (&mut exchange, asked), &mut said);
    }
    if has(Phase::Balance) {
        let request = PickRequest { upstream: exchange.route, version: asked.version, attempt: asked.attempt };
        let pick = filter.pick(&mut exchange, &request, &asked.candidates);
        said.push(format!("{pick:?} {:?}", exchange.picked_headers));
    }
    let status = asked.status.try_into().expect("a status");
    exchange.response = Some(ResponseHead { status, headers: asked.response.map() });
    if has(Phase::Response) {
        let flow = filter.response(&mut exchange);
        said.push(format!("{flow:?} {:?}", exchange.response));
    }
    if has(Phase::ResponseBody) {
        body(filter, Side::Response, (&mut exchange, asked), &mut said);
    }
    filter.ended(&ended(&exchange, asked));
    if filter.keeps_exchanges() {
        filter.left(exchange.id);
    }
    if has(Phase::Stream) {
        stream(filter, asked, &mut said);
    }
    said.push(format!("{:?}", filter.tick_interval()));
    filter.tick();
    filter.flush();
    said.iter().map(|said| without_instance(said)).collect()
}

fn exchange(asked: &Asked, protocol: Protocol) -> Box<Exchange> {
    let tls = Tls {
        version: 0x0304,
        cipher_suite: 0x1301,
        server_name: asked.server_name.as_deref().map(Into::into),
        alpn: Some(b"h2".as_slice().into()),
        ja4: asked.server_name.as_ref().map(|_| "t13d1516h2_8daaf6152771_e5627efa2ab1".into()),
        client: None,
    };
    let client = SocketAddr::new(asked.client, 50_000);
    let connection = Connection { client, tls: Some(Arc::new(tls)), ..testing::connection() };
    let mut exchange = testing::exchange(&asked.target);
    exchange.request.method = asked.method.clone();
    exchange.request.headers = asked.request.map();
    Exchange { connection: Arc::new(connection), protocol, ..*exchange }.into()
}

/// What a filter decides, also one that waits first.
fn decided(filter: &Rc<dyn Filter>, exchange: &mut Box<Exchange>) -> Result<Flow, Failure> {
    let flow = filter.request(exchange);
    if !matches!(flow, Ok(Flow::Wait)) {
        return flow;
    }
    let mut context = Context::from_waker(Waker::noop());
    let resumed = (0..RESUMED_MAX).find_map(|_| match filter.resume(Phase::Request, exchange, &mut context) {
        Poll::Ready(flow) => Some(flow),
        Poll::Pending => None,
    });
    resumed.unwrap_or(Ok(Flow::Wait))
}

fn body(filter: &Rc<dyn Filter>, side: Side, (exchange, asked): (&mut Box<Exchange>, &Asked), said: &mut Vec<String>) {
    let (announced, pieces) = &asked.body;
    let wish = filter.clone().body(side, exchange, *announced);
    let Ok(Wish::Take(handling, mut taken)) = wish else {
        return said.push(format!("{wish:?}"));
    };
    said.push(format!("{handling:?}"));
    let (edits, holds_head, pieces) = match handling {
        Handling::Stream(edits) => (edits, false, pieces.clone()),
        Handling::Buffer { .. } => (Edits::Any, true, vec![pieces.concat()]),
    };
    let last = pieces.len().saturating_sub(1);
    for (index, bytes) in pieces.into_iter().enumerate() {
        let mut piece = Piece { bytes: bytes.into(), is_last: index == last, edits, holds_head };
        let verdict = taken.poll_piece(exchange, &mut piece, &mut Context::from_waker(Waker::noop()));
        said.push(format!("{verdict:?} {piece:?}"));
        if !matches!(verdict, Poll::Ready(Ok(Verdict::Proceed))) {
            break;
        }
    }
    drop(taken);
    said.push(format!("{:?} {:?}", exchange.request, exchange.response));
}

fn stream(filter: &Rc<dyn Filter>, asked: &Asked, said: &mut Vec<String>) {
    let mut exchange = exchange(asked, Protocol::Tcp);
    let wish = filter.clone().stream(&mut exchange);
    let Ok(StreamWish::Watch(interest, mut watching)) = wish else {
        return said.push(format!("{wish:?}"));
    };
    said.push(format!("{interest:?}"));
    for (is_client, bytes) in &asked.stream {
        let direction = if *is_client { Direction::FromClient } else { Direction::FromEndpoint };
        let bytes = Bytes::copy_from_slice(bytes);
        let mut piece = StreamPiece { direction, bytes, is_last: false, instead: None };
        let verdict = watching.look(&mut exchange, &mut piece);
        said.push(format!("{verdict:?} {piece:?}"));
        if verdict.is_err() {
            break;
        }
    }
}

fn ended(exchange: &Exchange, asked: &Asked) -> Ended {
    Ended {
        exchange: exchange.id,
        listener: exchange.connection.listener,
        route: exchange.route,
        upstream: exchange.upstream,
        endpoint: exchange.endpoint,
        client: asked.client,
        method: asked.method.clone(),
        protocol: exchange.protocol,
        status: asked.status,
        ending: asked.ending,
        request_bytes: asked.version,
        response_bytes: asked.millis,
        duration_micros: asked.millis * 1_000,
        first_byte_micros: asked.millis,
    }
}

/// Some guests tell which instance they are, or which there are, by numbers that chance gave them.
fn without_instance(said: &str) -> String {
    let mut said = said.to_owned();
    for name in ["\"x-instance\": \"", "\"x-tickers\": \""] {
        let mut without = String::new();
        let mut rest = said.as_str();
        while let Some((before, after)) = rest.split_once(name) {
            without.push_str(before);
            rest = after.split_once('"').map_or("", |(_, after)| after);
        }
        said = without + rest;
    }
    said
}
