//! A client's connection, as its requests see it.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderValue};
use palisade_contract::Connection;

use crate::activity::Activity;
use crate::hygiene::{Said, Trust};
use crate::site::Site;
use crate::tunnel::Tunnel;

/// A client's connection, as its requests see it.
pub(crate) struct Client {
    pub(crate) connection: Arc<Connection>,
    pub(crate) activity: Rc<Activity>,
    /// A request had an `Upgrade` field: hyper then leaves the end of the connection to us.
    pub(crate) upgrade_offered: Cell<bool>,
    /// What follows the answer that is on its way.
    pub(crate) tunnel: Cell<Option<Box<Tunnel>>>,
    /// What was found for the plan of this generation.
    trust: Cell<(u64, Trust)>,
    /// What endpoints are told of it.
    pub(super) said: Said,
    /// Where HTTP/3 is spoken, as answers say it.
    alternative: OnceCell<Option<HeaderValue>>,
}

impl Client {
    pub(crate) fn new(connection: Connection, activity: Rc<Activity>) -> Self {
        Self {
            connection: Arc::new(connection),
            activity,
            upgrade_offered: Cell::new(false),
            tunnel: Cell::new(None),
            // No plan has the number zero.
            trust: Cell::new((0, Trust::Stranger)),
            said: Said::default(),
            alternative: OnceCell::new(),
        }
    }

    /// Says in an answer that the listener speaks HTTP/3 at the same address, if it does (RFC 7838, section 3; RFC 9114,
    /// section 3.1.1). What an endpoint says there is of its own address, and goes no further.
    pub(crate) fn advertise(&self, site: &Site, headers: &mut HeaderMap) {
        if !site.config.http.h3 {
            return;
        }
        let port = site.config.http3_port.unwrap_or(self.connection.local.port());
        let written = || HeaderValue::try_from(format!("h3=\":{port}\"; ma=86400")).ok();
        if let Some(alternative) = self.alternative.get_or_init(written) {
            headers.insert(header::ALT_SVC, alternative.clone());
        }
    }

    /// What the peer is believed, found once for each plan.
    pub(super) fn trust(&self, site: &Site) -> Trust {
        let (generation, trust) = self.trust.get();
        if generation == site.generation {
            return trust;
        }
        let trust = Trust::of(self.connection.client.ip(), &site.config.trusted_proxies);
        self.trust.set((site.generation, trust));
        trust
    }
}
