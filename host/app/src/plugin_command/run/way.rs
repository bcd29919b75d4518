//! One exchange's way through a chain of one plugin, phase by phase, with every phase reported.

use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use palisade_contract::{
    Begun, Candidate, Chain, Connection, ConnectionId, Decision, Ended, Ending, Exchange, ExchangeId, Health, Hold,
    Lease, Name, Outcome, Passage, Phase, Pick, PickRequest, Plugin as _, Protocol, Reply, RequestHead, ResponseHead,
    Scheme, Side, Step, Stopped, WorkerServices, difference,
};

use super::message::Message;
use super::report::Report;
use super::shown;
use super::watch::Watch;

/// What goes through the plugin.
#[derive(Debug)]
pub(super) struct Traffic {
    pub(super) client: SocketAddr,
    pub(super) request: Message<RequestHead>,
    pub(super) response: Option<Message<ResponseHead>>,
    /// What a balancer may pick.
    pub(super) endpoints: Vec<(String, Name)>,
    /// The name of the listener and of the upstream.
    pub(super) name: Name,
}

/// A way that is not over.
struct Way {
    watch: Watch,
    lease: Lease,
    exchange: Box<Exchange>,
    ended: Ended,
}

/// Takes an exchange through the plugin, and tells what it did.
pub(super) async fn pass(mut watch: Watch, traffic: Traffic) -> Report {
    let chain = Chain::new(&[watch.plugin.open(&WorkerServices::default())]);
    // The plugin was configured and reported already: this was another instance of it.
    drop((watch.lines.take(), watch.recorder.take()));
    let Traffic { client, request, response, endpoints, name } = traffic;
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 443));
    let scheme = Scheme::Https;
    let connection = Connection { id: ConnectionId(1), client, local, listener: name, scheme, tls: None };
    if has(&watch, Phase::Connection) && !admits(&mut watch, &chain, &connection) {
        return watch.report;
    }
    let mut way = Way::begin(watch, &chain, connection, request.head);
    if let Some(answered) = way.request(request.body, &endpoints, name).await {
        let response = answered.or(response);
        if let Some(response) = response {
            way.response(response).await;
        }
    }
    way.end(&chain)
}

fn has(watch: &Watch, phase: Phase) -> bool {
    watch.plugin.manifest().phases.has(phase)
}

fn admits(watch: &mut Watch, chain: &Chain, connection: &Connection) -> bool {
    let mark = watch.mark(Phase::Connection);
    let admits = chain.admits(connection);
    watch.step(mark, if admits { "accept" } else { "refuse" }, Vec::new());
    admits
}

impl Way {
    fn begin(watch: Watch, chain: &Rc<Chain>, connection: Connection, head: RequestHead) -> Self {
        let exchange = Exchange::new(ExchangeId::next(), Arc::new(connection), Protocol::Http1, head);
        let lease = chain.lease(exchange.id);
        let listener = exchange.connection.listener;
        lease.begun(&Begun { exchange: exchange.id, listener, route: Name::NONE });
        let ended = Ended {
            exchange: exchange.id,
            listener,
            route: Name::NONE,
            upstream: Name::NONE,
            endpoint: Name::NONE,
            client: exchange.connection.client.ip(),
            method: exchange.request.method.clone(),
            protocol: exchange.protocol,
            status: 0,
            ending: Ending::UpstreamFailed,
            request_bytes: 0,
            response_bytes: 0,
            duration_micros: 0,
            first_byte_micros: 0,
        };
        Self { watch, lease, exchange, ended }
    }

    /// The request's phases. None where nothing follows them; else the plugin's own answer, if it gave one.
    async fn request(
        &mut self,
        body: Bytes,
        endpoints: &[(String, Name)],
        upstream: Name,
    ) -> Option<Option<Message<ResponseHead>>> {
        self.ended.request_bytes = length(&body);
        if has(&self.watch, Phase::Request) {
            let before = difference::request(&self.exchange.request);
            let mark = self.watch.mark(Phase::Request);
            let decision = self.lease.request(&mut self.exchange).await;
            let changes = difference::between(&before, &difference::request(&self.exchange.request));
            self.watch.step(mark, said(&decision), [changes, answer(&decision)].concat());
            match decision {
                Decision::Proceed => {}
                Decision::Reply(reply, _) => return Some(Some((*reply).into())),
                Decision::Close(_) => return self.closed(),
                Decision::Failed(_) => return self.failed(),
            }
        } else {
            // Whoever has no request filter has been passed by all the same.
            let _ = self.lease.request(&mut self.exchange).await;
        }
        match self.body(Side::Request, body).await {
            Ok(_) => {}
            Err(Some(reply)) => return Some(Some(reply.into())),
            Err(None) => return self.closed(),
        }
        self.pick(endpoints, upstream);
        Some(None)
    }

    async fn response(&mut self, response: Message<ResponseHead>) {
        let Message { head, body } = response;
        self.ended.status = head.status.as_u16();
        self.ended.response_bytes = length(&body);
        self.ended.ending = Ending::Complete;
        let before = difference::response(&head);
        self.exchange.response = Some(head);
        if has(&self.watch, Phase::Response) {
            let mark = self.watch.mark(Phase::Response);
            let decision = self.lease.response(&mut self.exchange).await;
            let after = self.exchange.response.as_ref().map(difference::response).unwrap_or_default();
            let changes = difference::between(&before, &after);
            self.watch.step(mark, said(&decision), [changes, answer(&decision)].concat());
            match decision {
                Decision::Proceed => {}
                Decision::Reply(reply, _) => {
                    self.ended.status = reply.status.as_u16();
                    self.ended.response_bytes = length(&reply.body);
                    return;
                }
                Decision::Close(_) => return self.closed().unwrap_or_default(),
                Decision::Failed(_) => return self.failed().unwrap_or_default(),
            }
        }
        match self.body(Side::Response, body).await {
            Ok(bytes) => self.ended.response_bytes = bytes,
            Err(Some(reply)) => self.ended.status = reply.status.as_u16(),
            Err(None) => self.closed().unwrap_or_default(),
        }
    }

    /// A body's way. How long it is then, or what stopped it: an answer, or none.
    async fn body(&mut self, side: Side, body: Bytes) -> Result<u64, Option<Reply>> {
        if body.is_empty() || !self.lease.filters_bodies(side) {
            return Ok(length(&body));
        }
        let before = self.head(side);
        let mark = self.watch.mark(side.phase());
        let passed = self.passed(side, body.clone()).await;
        let mut changes = difference::between(&before, &self.head(side));
        let (outcome, stopped) = match passed {
            Ok(after) if after == body => ("pass".to_owned(), Ok(length(&after))),
            Ok(after) => {
                changes.push(format!("- body: {}", shown::body(&body)));
                changes.push(format!("+ body: {}", shown::body(&after)));
                ("change".to_owned(), Ok(length(&after)))
            }
            Err(Stopped::Reply(reply, _)) => {
                changes.extend(shown::reply(&reply));
                (format!("reply {}", reply.status.as_u16()), Err(Some(*reply)))
            }
            Err(Stopped::Close(_)) => ("close".to_owned(), Err(None)),
            Err(Stopped::Failed(_)) => {
                self.watch.report.is_failed = true;
                ("failed".to_owned(), Err(None))
            }
            Err(Stopped::TooLarge(_)) => ("refuse: the body is longer than what it buffers".to_owned(), Err(None)),
        };
        self.watch.step(mark, outcome, changes);
        stopped
    }

    fn head(&self, side: Side) -> Vec<String> {
        match side {
            Side::Request => difference::request(&self.exchange.request),
            Side::Response => self.exchange.response.as_ref().map(difference::response).unwrap_or_default(),
        }
    }

    async fn passed(&mut self, side: Side, body: Bytes) -> Result<Bytes, Stopped> {
        match self.lease.body(side, &mut self.exchange, Some(length(&body)))? {
            Some(mut passage) => through(&mut passage, &mut self.exchange, body).await,
            None => Ok(body),
        }
    }

    fn pick(&mut self, endpoints: &[(String, Name)], upstream: Name) {
        if !has(&self.watch, Phase::Balance) {
            return;
        }
        if endpoints.is_empty() {
            let outcome = "not asked: there is no --endpoint".to_owned();
            return self.watch.add(Phase::Balance.as_str(), outcome, None, Vec::new());
        }
        let candidates: Vec<Candidate> = endpoints.iter().zip(1..).map(candidate).collect();
        let request = PickRequest { upstream, version: 1, attempt: 0 };
        let mark = self.watch.mark(Phase::Balance);
        let picked = self.lease.pick(&mut self.exchange, &request, &candidates, || Pick::None);
        let outcome = match picked {
            Ok(Pick::Endpoint(index)) => endpoints.get(index).map(|(text, name)| {
                (self.ended.upstream, self.ended.endpoint) = (upstream, *name);
                format!("pick {text}")
            }),
            Ok(Pick::None) | Err(_) => None,
        };
        self.watch.step(mark, outcome.unwrap_or_else(|| "pick none".to_owned()), Vec::new());
    }

    fn closed<T>(&mut self) -> Option<T> {
        self.ended.ending = Ending::Closed;
        None
    }

    fn failed<T>(&mut self) -> Option<T> {
        self.watch.report.is_failed = true;
        self.closed()
    }

    fn end(mut self, chain: &Chain) -> Report {
        if chain.is_observed() {
            let mark = self.watch.mark(Phase::Observe);
            self.lease.ended(&self.ended);
            chain.flush();
            let Ended { status, ending, .. } = &self.ended;
            let outcome = format!("told of the beginning and of the end: {}, status {status}", ending.as_str());
            self.watch.step(mark, outcome, Vec::new());
        }
        self.watch.report
    }
}

/// All of a body through those filters that want it.
async fn through(passage: &mut Passage, exchange: &mut Box<Exchange>, body: Bytes) -> Result<Bytes, Stopped> {
    let mut body = Some(body);
    let mut out = BytesMut::new();
    while let Hold::Feed = poll_fn(|context| passage.poll_hold(exchange, context)).await? {
        let Some(body) = body.take() else { return Ok(out.freeze()) };
        passage.feed(body, true);
    }
    loop {
        match poll_fn(|context| passage.poll_next(exchange, context)).await? {
            Step::Out(bytes) => out.extend_from_slice(&bytes),
            Step::Feed => {
                let Some(body) = body.take() else { return Ok(out.freeze()) };
                passage.feed(body, true);
            }
            Step::End => return Ok(out.freeze()),
        }
    }
}

/// Nobody has asked it, and nothing is known against it.
fn candidate(((text, endpoint), number): (&(String, Name), u64)) -> Candidate {
    // Any number will do that is the same for the same text and hardly ever for another.
    let key = text.bytes().fold(number, |key, byte| key.rotate_left(7) ^ u64::from(byte).wrapping_mul(0x9E37_79B9));
    Candidate {
        endpoint: *endpoint,
        key,
        weight: 1,
        zone: Name::NONE,
        priority: 0,
        health: Health::Healthy,
        outcome: Outcome::Untried,
        in_flight: 0,
        latency_micros: 0,
        failures: 0,
        slow_start_permille: 1000,
    }
}

fn said(decision: &Decision) -> String {
    match decision {
        Decision::Proceed => "proceed".to_owned(),
        Decision::Reply(reply, _) => format!("reply {}", reply.status.as_u16()),
        Decision::Close(_) => "close".to_owned(),
        Decision::Failed(_) => "failed".to_owned(),
    }
}

fn answer(decision: &Decision) -> Vec<String> {
    match decision {
        Decision::Reply(reply, _) => shown::reply(reply),
        Decision::Proceed | Decision::Close(_) | Decision::Failed(_) => Vec::new(),
    }
}

fn length(body: &[u8]) -> u64 {
    u64::try_from(body.len()).unwrap_or(u64::MAX)
}

impl From<Reply> for Message<ResponseHead> {
    fn from(reply: Reply) -> Self {
        let Reply { status, headers, body } = reply;
        Self { head: ResponseHead { status, headers }, body }
    }
}
