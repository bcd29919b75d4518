//! What is written down of one exchange, from its head to its end, however it ends.

use std::rc::Rc;
use std::time::Duration;

use http::Method;
use palisade_contract::{
    Access, Begun, Ended, Ending, Exchange, ExchangeId, Lease, Name, PluginName, Protocol, RequestHead, Stopped, Trace,
    TraceStep,
};
use tokio::time::Instant;

use crate::activity::ActiveExchange;
use crate::error::RequestError;
use crate::explain::{AtEnd, Explaining};
use crate::moment;
use crate::site::Site;

/// One exchange's record. Dropping it is the end of the exchange: it is counted, logged, and told to observers.
pub(crate) struct Record {
    site: Rc<Site>,
    active: ActiveExchange,
    lease: Option<Lease>,
    began: Instant,
    head: Option<Duration>,
    ended: Ended,
    authority: Vec<u8>,
    target: String,
    plugin: Option<PluginName>,
    error: Option<String>,
    attempts: u32,
    explaining: Option<Box<Explaining>>,
}

impl Record {
    /// Begins with a head that is complete, and says so. Boxed once, because it moves on from the request to the last byte
    /// of the answer.
    pub(crate) fn begin(
        site: &Rc<Site>,
        active: ActiveExchange,
        id: ExchangeId,
        client: std::net::IpAddr,
    ) -> Box<Self> {
        site.monitor.exchange_begun();
        let ended = Ended {
            exchange: id,
            listener: site.name,
            route: Name::NONE,
            upstream: Name::NONE,
            endpoint: Name::NONE,
            client,
            method: Method::GET,
            protocol: Protocol::Http1,
            status: 0,
            ending: Ending::ClientGone,
            request_bytes: 0,
            response_bytes: 0,
            duration_micros: 0,
            first_byte_micros: 0,
        };
        Box::new(Self {
            site: site.clone(),
            active,
            lease: None,
            began: moment::now(),
            head: None,
            ended,
            authority: Vec::new(),
            target: String::new(),
            plugin: None,
            error: None,
            attempts: 0,
            explaining: None,
        })
    }

    /// Somebody wants to know what this exchange meets.
    pub(crate) fn explain(&mut self, explaining: Option<Box<Explaining>>) {
        self.explaining = explaining;
    }

    /// Something that the host did, for whoever wants to know.
    pub(crate) fn host_did(&self, stage: &'static str, time: Option<Duration>, what: impl FnOnce() -> String) {
        if let Some(explaining) = &self.explaining {
            explaining.host(stage, what(), time);
        }
    }

    /// Where what the host does can be noted while the record is elsewhere.
    pub(crate) fn notes(&self) -> Notes {
        Notes(self.explaining.as_ref().map(|explaining| explaining.trace.clone()))
    }

    /// What the client speaks.
    pub(crate) fn protocol(&mut self, protocol: Protocol) {
        self.ended.protocol = protocol;
    }

    /// It is a connection that carries anything, for the name that the client asked for within TLS.
    pub(crate) fn stream(&mut self, name: &str) {
        (self.ended.protocol, self.ended.method) = (Protocol::Tcp, Method::CONNECT);
        if self.site.logs_access {
            self.authority.extend_from_slice(name.as_bytes());
        }
    }

    /// What was asked, as the client wrote it.
    pub(crate) fn asked(&mut self, head: &RequestHead) {
        if let Some(explaining) = &mut self.explaining {
            let authority = String::from_utf8_lossy(head.authority_bytes()).into_owned();
            explaining.asked = (authority, head.target.to_string());
        }
        self.ended.method = head.method.clone();
        if self.site.logs_access {
            self.authority.extend_from_slice(head.authority_bytes());
            self.target.push_str(head.target.as_str());
        }
    }

    /// The chain that the exchange goes through: its observers hear of the beginning now and of the end later.
    pub(crate) fn leased(&mut self, lease: Lease, exchange: &Exchange) {
        self.ended.route = exchange.route;
        self.ended.client = exchange.connection.client.ip();
        if lease.chain().is_observed() {
            lease.begun(&Begun { exchange: exchange.id, listener: self.site.name, route: exchange.route });
            self.site.worker.observed();
        }
        self.lease = Some(match &self.explaining {
            Some(explaining) => lease.traced(&explaining.trace),
            None => lease,
        });
    }

    pub(crate) fn id(&self) -> ExchangeId {
        self.ended.exchange
    }

    pub(crate) fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    pub(crate) fn active(&self) -> &ActiveExchange {
        &self.active
    }

    /// A plugin answered, closed or failed in the upstream's place.
    pub(crate) fn decided_by(&mut self, plugin: PluginName) {
        self.plugin = Some(plugin);
    }

    /// The host answers in the upstream's place.
    pub(crate) fn failed(&mut self, error: &RequestError) {
        self.error = Some(error.to_string());
        self.ended.ending = error.ending();
    }

    /// A plugin closed a stream, or failed.
    pub(crate) fn stopped(&mut self, stopped: &Stopped) {
        let plugin = stopped.plugin().clone();
        if matches!(stopped, Stopped::Failed(_)) {
            self.error = Some(RequestError::Plugin(plugin.clone()).to_string());
        }
        self.decided_by(plugin);
        self.ended.ending = Ending::Closed;
    }

    /// An endpoint is tried.
    pub(crate) fn tries(&mut self) {
        self.attempts = self.attempts.saturating_add(1);
    }

    /// The upstream that is asked, and where.
    pub(crate) fn endpoint(&mut self, upstream: Name, endpoint: Name) {
        (self.ended.upstream, self.ended.endpoint) = (upstream, endpoint);
    }

    /// When it began.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// The response's head is on its way.
    pub(crate) fn responded(&mut self, status: u16) {
        self.ended.status = status;
        self.head = Some(moment::now().saturating_duration_since(self.began));
    }

    pub(crate) fn request_bytes(&mut self, bytes: u64) {
        self.ended.request_bytes = bytes;
    }

    pub(crate) fn response_bytes(&mut self, more: u64) {
        self.ended.response_bytes = self.ended.response_bytes.saturating_add(more);
    }

    /// How it ended. Without this, the client left; what failed stays failed.
    pub(crate) fn ended(&mut self, ending: Ending) {
        if self.ended.ending == Ending::ClientGone {
            self.ended.ending = ending;
        }
    }

    /// The response broke off, and for this reason.
    pub(crate) fn truncated(&mut self, reason: String) {
        self.ended.ending = Ending::Truncated;
        self.error = Some(reason);
    }
}

/// Takes notes of what the host does, for whoever wants to know.
pub(crate) struct Notes(Option<Trace>);

impl Notes {
    /// Something that the host did.
    pub(crate) fn add(&self, stage: &'static str, time: Option<Duration>, what: impl FnOnce() -> String) {
        if let Some(trace) = &self.0 {
            trace.add(TraceStep { stage, decision: what(), time, ..TraceStep::default() });
        }
    }
}

impl Record {
    fn explained(&mut self) {
        let Some(explaining) = self.explaining.take() else { return };
        let names = |names: &mut dyn Iterator<Item = &PluginName>| names.map(ToString::to_string).collect();
        explaining.end(AtEnd {
            ended: &self.ended,
            plugin: self.plugin.as_ref(),
            error: self.error.as_deref(),
            accepted_by: names(&mut self.site.chain.connection_filters()),
            observed_by: self.lease.as_ref().map(|lease| names(&mut lease.chain().observers())).unwrap_or_default(),
        });
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.ended.duration_micros = micros(moment::now().saturating_duration_since(self.began));
        self.ended.first_byte_micros = self.head.map_or(0, micros);
        if let Some(lease) = &self.lease
            && lease.chain().is_observed()
        {
            lease.ended(&self.ended);
            self.site.worker.observed();
        }
        self.explained();
        self.site.monitor.exchange_ended(&Access {
            ended: &self.ended,
            authority: &self.authority,
            target: &self.target,
            attempts: self.attempts,
            plugin: self.plugin.as_deref(),
            error: self.error.as_deref(),
        });
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
