//! The order of plugins, the early reply, and what a failed plugin means.
//!
//! Requests pass the filters in the order of the chain, responses in the reverse order and only those filters that the
//! request had reached; bodies follow their heads. The first plugin with a balancer picks. Every observer hears of every
//! exchange. A plugin that waits holds up its exchange and no other. A plugin in shadow is asked in its place, and not
//! followed.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::shadow::{self, Opinion, Opinions, ShadowMonitor, Subject};
use crate::stage::Stage;
use crate::{
    Admission, Begun, Candidate, Connection, Ended, Exchange, ExchangeId, Failure, Filter, Flow, OnError, Passage,
    Phase, Pick, PickRequest, Reply, Side, Stopped, StreamPassage, StreamWish, Trace, Wish, stream, trace,
};

/// The name of a plugin that decided something.
pub type PluginName = Rc<str>;

/// A plugin on one worker, at its place in a chain.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The plugin.
    pub filter: Rc<dyn Filter>,
    /// For a plugin in shadow, where it is told what it would have done; none for one whose decisions are followed.
    pub shadow: Option<Arc<dyn ShadowMonitor>>,
}

impl From<&Rc<dyn Filter>> for Entry {
    /// Its decisions are followed.
    fn from(filter: &Rc<dyn Filter>) -> Self {
        Self { filter: filter.clone(), shadow: None }
    }
}

/// The plugins of one route on one worker.
#[derive(Debug)]
pub struct Chain {
    connection: Box<[Link]>,
    request: Box<[Link]>,
    response: Box<[Link]>,
    request_body: Box<[Link]>,
    response_body: Box<[Link]>,
    streams: Box<[Link]>,
    observers: Box<[Link]>,
    balancer: Option<Link>,
    /// Those that are asked only to be compared.
    shadow_balancers: Box<[Link]>,
    /// Those that keep something for each exchange.
    keepers: Box<[Link]>,
    keeps_request: bool,
    reads_tls: bool,
    leases: Arc<AtomicUsize>,
}

#[derive(Debug, Clone)]
struct Link {
    position: usize,
    name: PluginName,
    filter: Rc<dyn Filter>,
    shadow: Option<Arc<dyn ShadowMonitor>>,
}

impl Chain {
    /// The chain of these filters, in this order, none of them in shadow.
    #[must_use]
    pub fn new(filters: &[Rc<dyn Filter>]) -> Rc<Self> {
        let entries: Vec<Entry> = filters.iter().map(Entry::from).collect();
        Self::counted(&entries, Arc::default())
    }

    /// The chain of these entries, in this order, with a count of its leases that others can read: the same one for each
    /// worker's chain.
    #[must_use]
    pub fn counted(entries: &[Entry], leases: Arc<AtomicUsize>) -> Rc<Self> {
        let links: Vec<Link> = entries.iter().enumerate().map(Link::new).collect();
        let with = |phase| links.iter().filter(move |link| link.filter.phases().has(phase)).cloned();
        let response: Box<[Link]> = with(Phase::Response).rev().collect();
        // What a body filter makes of a body is all that it does, so that in shadow it has nothing to do.
        let enforced = |phase| with(phase).filter(|link| link.shadow.is_none());
        let response_body: Box<[Link]> = enforced(Phase::ResponseBody).rev().collect();
        Rc::new(Self {
            connection: with(Phase::Connection).collect(),
            request: with(Phase::Request).collect(),
            keeps_request: response.iter().chain(&response_body).any(|link| link.filter.keeps_request()),
            response,
            request_body: enforced(Phase::RequestBody).collect(),
            response_body,
            streams: enforced(Phase::Stream).collect(),
            observers: with(Phase::Observe).collect(),
            balancer: enforced(Phase::Balance).next(),
            shadow_balancers: with(Phase::Balance).filter(|link| link.shadow.is_some()).collect(),
            reads_tls: links.iter().any(|link| link.filter.reads_tls()),
            keepers: links.iter().filter(|link| link.filter.keeps_exchanges()).cloned().collect(),
            leases,
        })
    }

    /// Asks every connection filter, until one refuses.
    #[must_use]
    pub fn admits(&self, connection: &Connection) -> bool {
        self.ask(connection, |_| true)
    }

    /// Asks those that do not read TLS, before the handshake.
    #[must_use]
    pub fn admits_before_tls(&self, connection: &Connection) -> bool {
        self.ask(connection, |link| !link.filter.reads_tls())
    }

    /// Asks the others, when the handshake is done.
    #[must_use]
    pub fn admits_after_tls(&self, connection: &Connection) -> bool {
        self.ask(connection, |link| link.filter.reads_tls())
    }

    fn ask(&self, connection: &Connection, is_asked: impl Fn(&Link) -> bool) -> bool {
        let mut opinions = Opinions::default();
        let mut decision = Decision::Proceed;
        for link in self.connection.iter().filter(|link| is_asked(link)) {
            let admission = link.filter.connection(connection);
            match &link.shadow {
                Some(monitor) => {
                    opinions.add(monitor, Phase::Connection, Opinion::from(&admission), link.on_error());
                }
                None => decision = link.admitted(&admission),
            }
            if !matches!(decision, Decision::Proceed) {
                break;
            }
        }
        let subject = Subject { phase: Phase::Connection, client: connection.client.ip(), request: None };
        opinions.compare(subject, &decision);
        matches!(decision, Decision::Proceed)
    }

    /// Whether anyone asks how clients came through TLS.
    #[must_use]
    pub fn reads_tls(&self) -> bool {
        self.reads_tls
    }

    /// Whether a response filter reads the request's headers: then they must outlive forwarding.
    #[must_use]
    pub fn keeps_request(&self) -> bool {
        self.keeps_request
    }

    /// Whether bodies of this side have a filter in this chain: where they have none, nothing of this is paid for.
    #[must_use]
    pub fn filters_bodies(&self, side: Side) -> bool {
        !self.body_links(side).is_empty()
    }

    fn body_links(&self, side: Side) -> &[Link] {
        match side {
            Side::Request => &self.request_body,
            Side::Response => &self.response_body,
        }
    }

    /// Begins one exchange's way through this chain. Dropping the lease is the end of it, however it ended.
    #[must_use]
    pub fn lease(self: &Rc<Self>, exchange: ExchangeId) -> Lease {
        self.leases.fetch_add(1, Ordering::Relaxed);
        Lease { chain: self.clone(), exchange, reached: Cell::new(0), trace: None }
    }

    /// Makes every observer hand over what it has kept. To be called within 10 ms of what it was told.
    pub fn flush(&self) {
        self.observers.iter().for_each(|link| link.filter.flush());
    }

    /// Who was asked about the connection.
    pub fn connection_filters(&self) -> impl Iterator<Item = &PluginName> {
        self.connection.iter().map(|link| &link.name)
    }

    /// Who observes.
    pub fn observers(&self) -> impl Iterator<Item = &PluginName> {
        self.observers.iter().map(|link| &link.name)
    }

    /// Whether there is a balancer.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.balancer.is_some()
    }

    /// Whether anyone observes.
    #[must_use]
    pub fn is_observed(&self) -> bool {
        !self.observers.is_empty()
    }
}

/// One exchange's way through a chain.
#[derive(Debug)]
pub struct Lease {
    chain: Rc<Chain>,
    exchange: ExchangeId,
    /// The position after the last filter that the request came to: responses pass only those before it.
    reached: Cell<usize>,
    /// Where every call is written down, for an exchange that is to be explained.
    trace: Option<Box<Trace>>,
}

impl Lease {
    /// The same, with every call written down here.
    #[must_use]
    pub fn traced(self, trace: &Trace) -> Self {
        let mut lease = self;
        lease.trace = Some(Box::new(trace.clone()));
        lease
    }

    /// The chain it is of.
    #[must_use]
    pub fn chain(&self) -> &Rc<Chain> {
        &self.chain
    }

    /// Passes the request through every request filter, until one decides otherwise. Waits only where a filter does;
    /// dropping the future gives up whatever it waits for, at the latest with the lease.
    pub async fn request(&self, exchange: &mut Box<Exchange>) -> Decision {
        let links = self.chain.request.iter().inspect(|link| self.reached.set(link.position + 1));
        let decision = pass((Side::Request, self.trace.as_deref()), links, exchange).await;
        if matches!(decision, Decision::Proceed) {
            self.reached.set(usize::MAX);
        }
        decision
    }

    /// Passes the response through the response filters that the request had reached, last one first. Waits as
    /// [`Lease::request`] does.
    pub async fn response(&self, exchange: &mut Box<Exchange>) -> Decision {
        let reached = self.reached.get();
        let links = self.chain.response.iter().filter(|link| link.position < reached);
        pass((Side::Response, self.trace.as_deref()), links, exchange).await
    }

    /// Whether bodies of this side have a filter that the exchange came to.
    #[must_use]
    pub fn filters_bodies(&self, side: Side) -> bool {
        self.body_links(side).next().is_some()
    }

    /// Asks every body filter how it wants this body, of so many bytes where that was announced: those of a request in the
    /// order of the chain, those of a response in the reverse order and only where the request had come to them. Gives the
    /// body's way through those that want it, or none where it passes as it is. Not for what has no body.
    ///
    /// # Errors
    /// A plugin decided otherwise, or the body is longer than what one buffers.
    pub fn body(
        &self,
        side: Side,
        exchange: &mut Box<Exchange>,
        announced: Option<u64>,
    ) -> Result<Option<Passage>, Stopped> {
        let mut stages = Vec::new();
        let mut length = announced;
        for link in self.body_links(side) {
            let watch = self.trace.as_ref().map(|trace| trace.watch(side, exchange));
            let wish = link.filter.clone().body(side, exchange, length);
            let trace = self.trace.as_ref().zip(watch).map(|(trace, watch)| {
                let step = watch.ended((side.phase(), &link.name), trace::wish(&wish, link.on_error()), exchange);
                trace.body(step)
            });
            let (handling, filter) = match wish {
                Ok(Wish::Take(handling, filter)) => (handling, filter),
                Ok(Wish::Skip) => continue,
                Ok(Wish::Reply(reply)) => return Err(Stopped::Reply(Box::new(reply), link.name.clone())),
                Ok(Wish::Close) => return Err(Stopped::Close(link.name.clone())),
                Err(_) if link.on_error() == OnError::Open => continue,
                Err(_) => return Err(Stopped::Failed(link.name.clone())),
            };
            let plugin = (&link.name, link.on_error() == OnError::Open);
            if let Some(mut stage) = Stage::new(plugin, (handling, filter), length)? {
                stage.trace(trace);
                length = stage.length(length);
                stages.push(stage);
            }
        }
        Ok(Passage::new(stages))
    }

    /// Asks every stream filter what it wants to be shown of a connection that carries anything. Gives the bytes' way through
    /// those that want to be shown any, or none where they pass as they are.
    ///
    /// # Errors
    /// A plugin closes the connection, or failed.
    pub fn stream(&self, exchange: &mut Box<Exchange>) -> Result<Option<StreamPassage>, Stopped> {
        self.reached.set(usize::MAX);
        let mut stages = Vec::new();
        for link in &self.chain.streams {
            let fails_open = link.on_error() == OnError::Open;
            match link.filter.clone().stream(exchange) {
                Ok(StreamWish::Watch(interest, filter)) => {
                    stages.push(stream::Stage::new((&link.name, fails_open), interest, filter));
                }
                Ok(StreamWish::Skip) => {}
                Ok(StreamWish::Close) => return Err(Stopped::Close(link.name.clone())),
                Err(_) if fails_open => {}
                Err(_) => return Err(Stopped::Failed(link.name.clone())),
            }
        }
        Ok(StreamPassage::new(stages))
    }

    fn body_links(&self, side: Side) -> impl Iterator<Item = &Link> {
        let reached = self.reached.get();
        self.chain.body_links(side).iter().filter(move |link| link.position < reached)
    }

    /// What the chain's balancer picks; where there is none, or where it failed, what the host picks by its own means.
    ///
    /// # Errors
    /// The plugin's name, where it failed and its policy is written as `closed`.
    pub fn pick(
        &self,
        exchange: &mut Box<Exchange>,
        request: &PickRequest,
        candidates: &[Candidate],
        host: impl FnOnce() -> Pick,
    ) -> Result<Pick, PluginName> {
        let began = self.trace.as_ref().map(|_| trace::now());
        // What an earlier endpoint's answer would have carried is not for this one's.
        exchange.picked_headers = None;
        let asked = self.chain.balancer.as_ref().map(|link| (link, link.filter.pick(exchange, request, candidates)));
        let failure = asked.as_ref().and_then(|(_, pick)| pick.as_ref().err().cloned());
        if failure.is_some() {
            exchange.picked_headers = None;
        }
        let picked = match asked {
            None => Ok(host()),
            Some((_, Ok(pick))) => Ok(pick),
            // A choice can be made without the plugin, so only a policy that was written out refuses.
            Some((link, Err(_))) if link.filter.on_error() == Some(OnError::Closed) => Err(link.name.clone()),
            Some((_, Err(_))) => Ok(host()),
        };
        if let (Some(trace), Some(began)) = (&self.trace, began) {
            let plugin = self.chain.balancer.as_ref().map(|link| &*link.name);
            trace.pick((plugin, began), candidates, (failure.as_ref(), &picked));
        }
        for link in &self.chain.shadow_balancers {
            let Some(monitor) = &link.shadow else { continue };
            let own = link.filter.pick(&mut exchange.clone(), request, candidates);
            let on_error = link.filter.on_error().unwrap_or(OnError::Open);
            shadow::compare_picks(monitor, Subject::of(Phase::Balance, exchange), (&own, on_error), &picked);
        }
        picked
    }

    /// Tells every observer.
    pub fn begun(&self, begun: &Begun) {
        self.chain.observers.iter().for_each(|link| link.filter.begun(begun));
    }

    /// Tells every observer.
    pub fn ended(&self, ended: &Ended) {
        self.chain.observers.iter().for_each(|link| link.filter.ended(ended));
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let reached = self.reached.get();
        for link in self.chain.keepers.iter().filter(|link| link.position < reached) {
            link.filter.left(self.exchange);
        }
        self.chain.leases.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a chain decided, and which plugin of it.
#[derive(Debug)]
pub enum Decision {
    /// Go on.
    Proceed,
    /// This plugin answers.
    Reply(Reply, PluginName),
    /// This plugin closes the connection, or resets the stream.
    Close(PluginName),
    /// This plugin failed and its policy is to refuse.
    Failed(PluginName),
}

/// Passes the exchange through these filters, until one decides otherwise; those in shadow are heard and not followed.
async fn pass<'a>(
    (side, trace): (Side, Option<&Trace>),
    links: impl Iterator<Item = &'a Link>,
    exchange: &mut Box<Exchange>,
) -> Decision {
    let phase = side.head_phase();
    let mut opinions = Opinions::default();
    let mut decision = Decision::Proceed;
    for link in links {
        let watch = trace.map(|trace| trace.watch(side, exchange));
        match &link.shadow {
            Some(monitor) => {
                let opinion = link.in_shadow(side, exchange);
                if let Some(watch) = watch {
                    watch.ended_in_shadow((phase, &link.name), &opinion);
                }
                opinions.add(monitor, phase, opinion, link.on_error());
            }
            None => {
                let flow = link.asked(side, exchange);
                let flow = link.settled(phase, exchange, flow).await;
                if let Some(watch) = watch {
                    watch.ended((phase, &link.name), trace::flow(&flow, link.on_error()), exchange);
                }
                decision = link.decided(flow);
            }
        }
        if !matches!(decision, Decision::Proceed) {
            break;
        }
    }
    opinions.compare(Subject::of(phase, exchange), &decision);
    decision
}

impl Link {
    fn new((position, entry): (usize, &Entry)) -> Self {
        let Entry { filter, shadow } = entry.clone();
        Self { position, name: filter.name().into(), filter, shadow }
    }

    fn asked(&self, side: Side, exchange: &mut Box<Exchange>) -> Result<Flow, Failure> {
        match side {
            Side::Request => self.filter.request(exchange),
            Side::Response => self.filter.response(exchange),
        }
    }

    /// What it would have done with a copy of the exchange. Where it would have to wait, it is not waited for.
    fn in_shadow(&self, side: Side, exchange: &Exchange) -> Opinion {
        let flow = self.asked(side, &mut Box::new(exchange.clone()));
        if matches!(flow, Ok(Flow::Wait)) {
            self.filter.left(exchange.id);
        }
        Opinion::from(&flow)
    }

    fn admitted(&self, admission: &Result<Admission, Failure>) -> Decision {
        match admission {
            Ok(Admission::Accept) => Decision::Proceed,
            Ok(Admission::Refuse) => Decision::Close(self.name.clone()),
            Err(_) if self.on_error() == OnError::Open => Decision::Proceed,
            Err(_) => Decision::Failed(self.name.clone()),
        }
    }

    /// What the filter says in the end, where it may have to wait first.
    async fn settled(
        &self,
        phase: Phase,
        exchange: &mut Box<Exchange>,
        flow: Result<Flow, Failure>,
    ) -> Result<Flow, Failure> {
        match flow {
            Ok(Flow::Wait) => poll_fn(|context| self.filter.resume(phase, exchange, context)).await,
            settled => settled,
        }
    }

    fn decided(&self, flow: Result<Flow, Failure>) -> Decision {
        match flow {
            Ok(Flow::Proceed) => Decision::Proceed,
            Ok(Flow::Reply(reply)) => Decision::Reply(reply, self.name.clone()),
            Ok(Flow::Close) => Decision::Close(self.name.clone()),
            // Nothing is left to wait for: a filter that still does is as good as one that failed.
            Ok(Flow::Wait) if self.on_error() == OnError::Open => Decision::Proceed,
            Ok(Flow::Wait) => Decision::Failed(self.name.clone()),
            Err(_) if self.on_error() == OnError::Open => Decision::Proceed,
            Err(_) => Decision::Failed(self.name.clone()),
        }
    }

    /// A filter that was not told otherwise fails closed.
    fn on_error(&self) -> OnError {
        self.filter.on_error().unwrap_or(OnError::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Does, Fake, at_once, connection, exchange};

    #[test]
    fn requests_pass_in_order_and_responses_in_reverse() {
        check(&[Fake::new("a"), Fake::new("b"), Fake::new("c")], "proceed", "request a b c; response c b a");
    }

    #[test]
    fn an_early_reply_passes_only_the_filters_it_had_reached() {
        check(
            &[Fake::new("a"), Fake::new("b").request(Does::Reply), Fake::new("c")],
            "reply by b",
            "request a b; response b a",
        );
    }

    #[test]
    fn a_failed_filter_refuses_unless_it_is_open() {
        let fails = || Fake::new("b").request(Does::Fail);
        check(&[Fake::new("a"), fails(), Fake::new("c")], "failed b", "request a b; response b a");
        check(
            &[Fake::new("a"), fails().on_error(OnError::Closed), Fake::new("c")],
            "failed b",
            "request a b; response b a",
        );
        check(
            &[Fake::new("a"), fails().on_error(OnError::Open), Fake::new("c")],
            "proceed",
            "request a b c; response c b a",
        );
    }

    #[test]
    fn a_filter_can_close() {
        check(
            &[Fake::new("a").request(Does::Close), Fake::new("b").request(Does::Reply)],
            "close by a",
            "request a; response a",
        );
    }

    fn check(fakes: &[Fake], decision: &str, calls: &str) {
        let log = crate::testing::CallLog::default();
        let filters: Vec<Rc<dyn Filter>> =
            fakes.iter().map(|fake| Rc::new(fake.clone().logging(&log)) as Rc<dyn Filter>).collect();
        let chain = Chain::new(&filters);
        let mut exchange = exchange("/");
        let lease = chain.lease(exchange.id);
        let decided = match at_once(lease.request(&mut exchange)) {
            Decision::Proceed => "proceed".to_owned(),
            Decision::Reply(_, by) => format!("reply by {by}"),
            Decision::Close(by) => format!("close by {by}"),
            Decision::Failed(by) => format!("failed {by}"),
        };
        assert_eq!(decided, decision);
        let _ = at_once(lease.response(&mut exchange));
        assert_eq!(log.text(), calls);
    }

    #[test]
    fn a_filter_that_waits_is_asked_again_and_hears_of_the_end() {
        let log = crate::testing::CallLog::default();
        let fake = |name, does| Rc::new(Fake::new(name).request(does).logging(&log)) as Rc<dyn Filter>;
        let chain = Chain::new(&[fake("a", Does::Proceed), fake("b", Does::Wait), fake("c", Does::Proceed)]);
        let mut exchange = exchange("/");
        let lease = chain.lease(exchange.id);
        {
            let mut request = std::pin::pin!(lease.request(&mut exchange));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(request.as_mut().poll(&mut context).is_pending());
            assert!(matches!(request.poll(&mut context), std::task::Poll::Ready(Decision::Proceed)));
        }
        drop(lease);
        assert_eq!(log.text(), "request a b; resume b b; request c; left b");
    }

    #[test]
    fn a_filter_hears_of_the_end_of_what_is_given_up_and_not_of_what_never_came_to_it() {
        let log = crate::testing::CallLog::default();
        let fake = |name, does| Rc::new(Fake::new(name).request(does).logging(&log)) as Rc<dyn Filter>;
        let chain = Chain::new(&[fake("a", Does::Wait), fake("b", Does::Wait)]);
        let mut exchange = exchange("/");
        let lease = chain.lease(exchange.id);
        {
            let request = std::pin::pin!(lease.request(&mut exchange));
            assert!(request.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending());
        }
        drop(lease);
        assert_eq!(log.text(), "request a; resume a; left a");
    }

    #[test]
    fn a_failed_balancer_leaves_the_choice_to_the_host_unless_closed_is_written() {
        for (on_error, refuses) in [(None, false), (Some(OnError::Open), false), (Some(OnError::Closed), true)] {
            let mut fake = Fake::new("b").pick(Does::Fail);
            fake.on_error = on_error;
            let chain = Chain::new(&[Rc::new(fake) as Rc<dyn Filter>]);
            let request = PickRequest { upstream: crate::Name::NONE, version: 0, attempt: 0 };
            let picked = chain.lease(ExchangeId(1)).pick(&mut exchange("/"), &request, &[], || Pick::Endpoint(7));
            let expected = if refuses { Err("b".into()) } else { Ok(Pick::Endpoint(7)) };
            assert_eq!(picked, expected, "{on_error:?}");
        }
    }

    #[test]
    fn a_connection_is_refused_by_any_filter_that_says_so_or_fails_closed() {
        for (does, on_error, admitted) in [
            (Does::Proceed, None, true),
            (Does::Close, None, false),
            (Does::Close, Some(OnError::Open), false),
            (Does::Fail, None, false),
            (Does::Fail, Some(OnError::Open), true),
        ] {
            let mut fake = Fake::new("a").connection(does);
            fake.on_error = on_error;
            let chain = Chain::new(&[Rc::new(fake) as Rc<dyn Filter>]);
            assert_eq!(chain.admits(&connection()), admitted, "{does:?} {on_error:?}");
        }
    }

    #[test]
    fn leases_are_counted_until_they_are_dropped() {
        let leases = Arc::new(AtomicUsize::new(0));
        let chain = Chain::counted(&[], leases.clone());
        let (one, two) = (chain.lease(ExchangeId(1)), chain.lease(ExchangeId(2)));
        assert_eq!(leases.load(Ordering::Relaxed), 2);
        drop((one, two));
        assert_eq!(leases.load(Ordering::Relaxed), 0);
    }
}
