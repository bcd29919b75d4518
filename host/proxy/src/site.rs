//! A listener as one worker serves it: its routes, its chains on this worker, its upstreams' connections.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use palisade_config::Action;
use palisade_contract::{Chain, ExchangeId, Filter, ListenerMonitor, Name};
use tokio::sync::Notify;

use crate::routes::Routes;
use crate::upstream::Pools;

/// A listener on one worker.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) name: Name,
    pub(crate) config: Arc<palisade_config::Listener>,
    pub(crate) monitor: Arc<dyn ListenerMonitor>,
    /// Whether what was asked is kept for the access log.
    pub(crate) logs_access: bool,
    pub(crate) worker: Rc<Worker>,
    /// What connections pass, and requests that no route is for.
    pub(crate) chain: Rc<Chain>,
    pub(crate) routes: Routes,
    /// In the order of the configuration.
    pub(crate) ways: Vec<Way>,
}

/// Where the requests of one route go.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) name: Name,
    pub(crate) chain: Rc<Chain>,
    pub(crate) pools: Rc<Pools>,
}

impl Site {
    /// The way for this authority and path.
    pub(crate) fn way(&self, authority: &[u8], path: &str) -> Option<&Way> {
        self.routes.find(authority, path).and_then(|index| self.ways.get(index))
    }

    /// Where this listener sends everything, if it does: the port of `https` and the status.
    pub(crate) fn redirect(&self) -> Option<(u16, u16)> {
        match &self.config.action {
            Action::RedirectToHttps { port, status } => Some((*port, *status)),
            Action::Routes(_) => None,
        }
    }
}

/// What is one of its kind on a worker.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Every plugin, opened on this worker.
    pub(crate) filters: Vec<Rc<dyn Filter>>,
    /// The worker's own number in the upper bits, so that no two workers give the same.
    next: Cell<u64>,
    observed: Cell<bool>,
    wake_flusher: Notify,
}

impl Worker {
    pub(crate) fn new(index: usize, filters: Vec<Rc<dyn Filter>>) -> Rc<Self> {
        let number = u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1);
        Rc::new(Self {
            filters,
            next: Cell::new(number << 48),
            observed: Cell::new(false),
            wake_flusher: Notify::new(),
        })
    }

    /// A number that no exchange and no connection had before.
    pub(crate) fn number(&self) -> u64 {
        self.next.set(self.next.get().wrapping_add(1));
        self.next.get()
    }

    pub(crate) fn exchange_id(&self) -> ExchangeId {
        ExchangeId(self.number())
    }

    /// An observer has something that is to be handed over soon.
    pub(crate) fn observed(&self) {
        if !self.observed.replace(true) {
            self.wake_flusher.notify_one();
        }
    }

    /// Hands over everything that observers have kept.
    pub(crate) fn flush(&self) {
        self.observed.set(false);
        self.filters.iter().for_each(|filter| filter.flush());
    }

    /// Hands over, within 10 ms of the event, for as long as it is polled.
    pub(crate) async fn flush_always(&self) {
        loop {
            self.wake_flusher.notified().await;
            tokio::time::sleep(std::time::Duration::from_millis(8)).await;
            self.flush();
        }
    }
}
