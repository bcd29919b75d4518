//! One exchange's way through a chain, in; every call that its plugins get because of it, out.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use super::{Chain, Decision, Link, PluginName, pass};
use crate::shadow::{self, Subject};
use crate::stage::Stage;
use crate::{
    Begun, Candidate, Ended, Exchange, ExchangeId, OnError, Passage, Phase, Pick, PickRequest, Side, Stopped,
    StreamPassage, StreamWish, Trace, Wish, stream, trace,
};

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
    pub(super) fn new(chain: Rc<Chain>, exchange: ExchangeId) -> Self {
        Self { chain, exchange, reached: Cell::new(0), trace: None }
    }

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
                Ok(Wish::Reply(reply)) => return Err(Stopped::Reply(reply, link.name.clone())),
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
