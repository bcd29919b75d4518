//! The order of plugins, the early reply, and what a failed plugin means.
//!
//! Requests pass the filters in the order of the chain, responses in the reverse order and only those filters that the
//! request had reached; bodies follow their heads. The first plugin with a balancer picks. Every observer hears of every
//! exchange. A plugin that waits holds up its exchange and no other. A plugin in shadow is asked in its place, and not
//! followed.

mod lease;

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use lease::Lease;

use crate::shadow::{Opinion, Opinions, ShadowMonitor, Subject};
use crate::{
    Admission, Connection, Exchange, ExchangeId, Failure, Filter, Flow, OnError, Phase, Reply, Side, Trace, trace,
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
        Lease::new(self.clone(), exchange)
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

/// What a chain decided, and which plugin of it.
#[derive(Debug)]
pub enum Decision {
    /// Go on.
    Proceed,
    /// This plugin answers.
    Reply(Box<Reply>, PluginName),
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
                let flow = match link.asked(side, exchange) {
                    Ok(Flow::Wait) => link.waited_for(phase, exchange).await,
                    settled => settled,
                };
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

    /// What the filter says in the end, where it has to wait first.
    async fn waited_for(&self, phase: Phase, exchange: &mut Box<Exchange>) -> Result<Flow, Failure> {
        poll_fn(|context| self.filter.resume(phase, exchange, context)).await
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
mod tests;
