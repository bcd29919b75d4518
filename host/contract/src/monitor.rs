//! What the host itself counts and logs, apart from any plugin. The proxy reports; whoever implements this records.

use std::fmt::Debug;
use std::sync::Arc;

use crate::{Ended, Phases, ShadowMonitor, UpstreamMonitor};

/// Hands out the places that one listener or endpoint reports to. Asked once per worker, not per request.
pub trait Monitor: Send + Sync + Debug {
    /// The place of the listener of this name. The same name gives the same counters.
    fn listener(&self, name: &str) -> Arc<dyn ListenerMonitor>;

    /// The place of the upstream of this name. The same name gives the same counters.
    fn upstream(&self, name: &str) -> Arc<dyn UpstreamMonitor>;

    /// The place of this endpoint of an upstream. The same names give the same counters.
    fn endpoint(&self, upstream: &str, endpoint: &str) -> Arc<dyn EndpointMonitor>;

    /// The place of the plugin of this name, where it runs in shadow. The same name gives the same counters.
    fn shadow(&self, plugin: &str, phases: Phases) -> Arc<dyn ShadowMonitor>;
}

/// What happens at one listener.
pub trait ListenerMonitor: Send + Sync + Debug {
    /// A connection was accepted by the kernel.
    fn connection_opened(&self);

    /// A connection that was opened is gone.
    fn connection_closed(&self);

    /// A connection was given up by us; `connection_closed` follows.
    fn connection_refused(&self, why: Refusal);

    /// A request's head is complete. `exchange_ended` follows, always.
    fn exchange_begun(&self);

    /// An exchange is over: it is counted, and logged where the access log is on.
    fn exchange_ended(&self, access: &Access<'_>);
}

/// What happens at one endpoint.
pub trait EndpointMonitor: Send + Sync + Debug {
    /// A new connection to it is up.
    fn connected(&self);

    /// A connection to it is gone.
    fn disconnected(&self);

    /// A request was given to it.
    fn asked(&self);

    /// It did not answer, for this reason.
    fn failed(&self, why: UpstreamFault);

    /// The host chose it in the place of a balancer that has failed.
    fn stood_in(&self);
}

/// One line of the access log.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    /// The exchange's figures.
    pub ended: &'a Ended,
    /// Host and port as the client wrote them; empty where it wrote none that we accept.
    pub authority: &'a [u8],
    /// Path and query as the client sent them; empty where the request was refused before it had one.
    pub target: &'a str,
    /// How often it was sent to an endpoint, or would have been if there had been a connection.
    pub attempts: u32,
    /// The plugin that answered, closed or failed in the upstream's place.
    pub plugin: Option<&'a str>,
    /// Why the host itself answered in the upstream's place.
    pub error: Option<&'a str>,
}

/// Why a client's connection was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// A connection filter refused it, or failed closed.
    Plugin,
    /// The listener has as many as it may.
    Limit,
    /// The client's address has as many as it may.
    AddressLimit,
    /// The TLS handshake failed.
    Handshake,
    /// The TLS handshake took too long.
    HandshakeTimeout,
    /// No route is for the name that it asked for within TLS.
    Route,
    /// It broke the rules of HTTP.
    Protocol,
    /// It sent too much that carries neither requests nor data.
    Flood,
    /// It took too long over a request's head.
    HeaderTimeout,
    /// It took too long over a body, either way.
    BodyTimeout,
    /// The time to drain was over.
    Drain,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Plugin,
        Self::Limit,
        Self::AddressLimit,
        Self::Handshake,
        Self::HandshakeTimeout,
        Self::Route,
        Self::Protocol,
        Self::Flood,
        Self::HeaderTimeout,
        Self::BodyTimeout,
        Self::Drain,
    ];

    /// The reason as metrics name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plugin => "plugin",
            Self::Limit => "limit",
            Self::AddressLimit => "address_limit",
            Self::Handshake => "handshake",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::Route => "no_route",
            Self::Protocol => "protocol",
            Self::Flood => "flood",
            Self::HeaderTimeout => "header_timeout",
            Self::BodyTimeout => "body_timeout",
            Self::Drain => "drain",
        }
    }
}

/// Why an endpoint gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UpstreamFault {
    /// No connection could be made.
    Connect,
    /// No connection could be made in time.
    ConnectTimeout,
    /// The TLS handshake failed, its certificate is not one that we trust, or it does not agree to what is to be spoken.
    Handshake,
    /// It closed the connection before the answer's head.
    Reset,
    /// The answer's head did not come in time.
    ResponseTimeout,
    /// Its answer breaks the rules of HTTP.
    Protocol,
    /// It has as many connections as it may.
    Limit,
    /// The answer's body broke off or made no progress.
    Body,
}

impl UpstreamFault {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Connect,
        Self::ConnectTimeout,
        Self::Handshake,
        Self::Reset,
        Self::ResponseTimeout,
        Self::Protocol,
        Self::Limit,
        Self::Body,
    ];

    /// The reason as metrics name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Handshake => "handshake",
            Self::Reset => "reset",
            Self::ResponseTimeout => "response_timeout",
            Self::Protocol => "protocol",
            Self::Limit => "limit",
            Self::Body => "body",
        }
    }
}
