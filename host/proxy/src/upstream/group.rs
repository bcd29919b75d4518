//! Which endpoints an upstream has at a moment, and what they have in common from one plan to the next.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use palisade_contract::Names;
use tokio::sync::Notify;

use crate::upstream::Endpoint;
use crate::upstream::rules::Rules;
use crate::upstream::standing::Checked;
use crate::upstream::vital::Arrival;

/// What the endpoints of an upstream have in common, from one plan to the next.
#[derive(Debug, Default)]
pub(crate) struct Group {
    changes: AtomicU32,
    look: Notify,
    /// Endpoints that are in doubt.
    doubts: AtomicU32,
    /// Requests are refused because of that.
    refuses: AtomicBool,
    /// An endpoint has asked to be left alone for a while.
    rests: AtomicBool,
}

impl Group {
    /// Something that a balancer may keep in mind is another one now.
    pub(crate) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn version(&self) -> u32 {
        self.changes.load(Ordering::Relaxed)
    }

    /// An endpoint fails too often: whoever watches the group looks at it now.
    pub(crate) fn look(&self) {
        self.look.notify_one();
    }

    /// Awaits that.
    pub(crate) async fn looks(&self) {
        self.look.notified().await;
    }

    /// An endpoint asks to be left alone for a while.
    pub(super) fn rests(&self) {
        self.rests.store(true, Ordering::Relaxed);
    }

    /// Whether one ever has.
    pub(super) fn has_rests(&self) -> bool {
        self.rests.load(Ordering::Relaxed)
    }

    /// One more endpoint is in doubt.
    pub(super) fn doubts(&self) {
        self.doubts.fetch_add(1, Ordering::Relaxed);
    }

    /// One is not in doubt any more.
    pub(super) fn doubts_no_more(&self) {
        self.doubts.fetch_sub(1, Ordering::Relaxed);
        self.refuses.store(false, Ordering::Relaxed);
    }

    /// Whether any endpoint is in doubt.
    pub(super) fn has_doubts(&self) -> bool {
        self.doubts.load(Ordering::Relaxed) > 0
    }

    /// A request is refused because nobody is left who answers in time; whether that is news.
    pub(super) fn refuses(&self) -> bool {
        !self.refuses.swap(true, Ordering::Relaxed)
    }
}

/// The endpoints of an upstream at a moment.
#[derive(Debug)]
pub(crate) struct Members {
    /// No other list of this process has it.
    pub(crate) id: u32,
    /// Not all of them are of the first level.
    pub(crate) has_levels: bool,
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
}

impl Members {
    pub(crate) fn new(endpoints: Vec<Arc<Endpoint>>) -> Arc<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let has_levels = endpoints.iter().any(|endpoint| endpoint.priority() > 0);
        Arc::new(Self { id: NEXT.fetch_add(1, Ordering::Relaxed), has_levels, endpoints })
    }

    /// A list of these endpoints: what is known of one stays known, and who was not there before comes late, unless nobody was.
    pub(super) fn joined(
        endpoints: &[palisade_config::Endpoint],
        (before, config): (Option<&Members>, &palisade_config::Upstream),
        (names, group): (&Arc<Names>, &Arc<Group>),
    ) -> Arc<Members> {
        let rules = Rules::of(config);
        let checked = if config.health.is_some() { Checked::Unknown } else { Checked::Off };
        let known: HashMap<SocketAddr, &Arc<Endpoint>> =
            before.iter().flat_map(|before| &before.endpoints).map(|known| (known.address, known)).collect();
        let endpoint = |config: &palisade_config::Endpoint| match known.get(&config.address) {
            Some(known) if known.is(config, rules) => Arc::clone(known),
            Some(known) => Arc::new(known.again(config, rules, names)),
            None => {
                let arrival = if before.is_some() { Arrival::Later } else { Arrival::First };
                Arc::new(Endpoint::new(config, rules, arrival(checked.clone()), (names, group)))
            }
        };
        Members::new(endpoints.iter().map(endpoint).collect())
    }
}
