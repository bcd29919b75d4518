//! Why an exchange did not get an upstream's answer, and what the client is told instead.

use http::StatusCode;
use palisade_contract::{Ending, PluginName, Reply};

/// Why an exchange did not get an upstream's answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum RequestError {
    /// RFC 9112, section 3.2, and RFC 9110, section 7.2.
    #[error("the request has no Host, more than one, or one that is not a host")]
    Host,
    /// The target is neither a path nor `*`.
    #[error("the request target is not one for this method")]
    Target,
    /// The path has no one reading, or not the one spelling that the listener takes.
    #[error("the request's path can be read in more than one way")]
    Path,
    /// RFC 9113, section 8.2.1.
    #[error("a header field's value begins or ends with white space")]
    Field,
    /// A tunnel is asked for.
    #[error("CONNECT is not offered")]
    Connect,
    /// An extended CONNECT for a protocol that is not offered here (RFC 9220, section 3).
    #[error("the protocol that CONNECT asks for is not offered here")]
    Protocol,
    /// An extended CONNECT whose endpoint has not switched protocols, though its answer is a good one.
    #[error("the endpoint did not switch protocols: status {0}")]
    NotSwitched(u16),
    /// An upgrade with a body: what of it belongs to which protocol could be read in two ways.
    #[error("a request to upgrade has a body")]
    UpgradeBody,
    /// A transfer coding that is not undone here (RFC 9112, section 6.1).
    #[error("the request's Transfer-Encoding is not chunked alone")]
    Coding,
    /// The client stopped in the middle of its body, or still had some of it to send when the whole exchange had taken as long as
    /// it may.
    #[error("the request body did not come in time")]
    BodyTimeout,
    /// Longer than the listener's `target_bytes`.
    #[error("the request target is longer than the listener allows")]
    TargetTooLong,
    /// More than the listener's `headers` or `header_bytes`.
    #[error("the request has more header fields than the listener allows")]
    HeadTooLarge,
    /// Longer than the listener's `request_body_bytes`.
    #[error("the request body is longer than the listener allows")]
    BodyTooLarge,
    /// The client's body is malformed.
    #[error("the request body is malformed")]
    Body,
    /// The client's connection ended, or its stream was reset, within its body.
    #[error("the request body broke off")]
    ClientGone,
    /// No route is for this host and path.
    #[error("no route is for this host and path")]
    NoRoute,
    /// A plugin failed, and its policy is to refuse.
    #[error("the plugin {0:?} failed")]
    Plugin(PluginName),
    /// A balancer, or the host, found no endpoint to ask.
    #[error("no endpoint can take the request")]
    NoEndpoint,
    /// No connection to any endpoint that was tried.
    #[error("no connection to the endpoint: {0}")]
    Connection(String),
    /// No connection in time.
    #[error("no connection to the endpoint in time")]
    ConnectTimeout,
    /// All connections that it may have are in use.
    #[error("the endpoint has as many connections as it may")]
    TooManyConnections,
    /// The upstream is left alone for now.
    #[error("the upstream is left alone: {0}")]
    Circuit(&'static str),
    /// The endpoint closed before it answered.
    #[error("the endpoint broke off before its answer: {0}")]
    Reset(String),
    /// The endpoint's answer is longer than what a plugin buffers.
    #[error("the endpoint's answer is longer than what the plugin {0:?} buffers")]
    AnswerTooLarge(PluginName),
    /// The endpoint's answer is not HTTP that we pass on.
    #[error("the endpoint's answer breaks the rules of HTTP: {0}")]
    Answer(String),
    /// The endpoint did not answer in time.
    #[error("the endpoint did not answer in time")]
    ResponseTimeout,
    /// The exchange has taken as long as it may.
    #[error("the answer was not there in the time that the whole exchange may take")]
    TotalTimeout,
}

/// Whose fault it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Client,
    Host,
    Upstream,
}

impl RequestError {
    /// The status, and whose fault it was: the one place where both are decided.
    fn decided(&self) -> (StatusCode, Fault) {
        match self {
            Self::Host
            | Self::Target
            | Self::Path
            | Self::Field
            | Self::UpgradeBody
            | Self::Body
            | Self::ClientGone => (StatusCode::BAD_REQUEST, Fault::Client),
            Self::Connect | Self::Protocol | Self::Coding => (StatusCode::NOT_IMPLEMENTED, Fault::Client),
            Self::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, Fault::Client),
            Self::TargetTooLong => (StatusCode::URI_TOO_LONG, Fault::Client),
            Self::HeadTooLarge => (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, Fault::Client),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, Fault::Client),
            Self::NoRoute => (StatusCode::NOT_FOUND, Fault::Client),
            Self::Plugin(_) => (StatusCode::SERVICE_UNAVAILABLE, Fault::Host),
            Self::NoEndpoint | Self::TooManyConnections | Self::Circuit(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, Fault::Upstream)
            }
            Self::Connection(_) | Self::Reset(_) | Self::Answer(_) | Self::NotSwitched(_) | Self::AnswerTooLarge(_) => {
                (StatusCode::BAD_GATEWAY, Fault::Upstream)
            }
            Self::ConnectTimeout | Self::ResponseTimeout | Self::TotalTimeout => {
                (StatusCode::GATEWAY_TIMEOUT, Fault::Upstream)
            }
        }
    }

    /// What the client is told. The log tells more.
    pub(crate) fn reply(&self) -> Reply {
        let (status, _) = self.decided();
        Reply::text(
            status,
            match status {
                StatusCode::BAD_REQUEST => "bad request\n",
                StatusCode::NOT_FOUND => "not found\n",
                StatusCode::REQUEST_TIMEOUT => "request timeout\n",
                StatusCode::PAYLOAD_TOO_LARGE => "request body too large\n",
                StatusCode::URI_TOO_LONG => "request target too long\n",
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "request header too large\n",
                StatusCode::NOT_IMPLEMENTED => "not implemented\n",
                StatusCode::SERVICE_UNAVAILABLE => "service unavailable\n",
                StatusCode::GATEWAY_TIMEOUT => "gateway timeout\n",
                _ => "bad gateway\n",
            },
        )
    }

    /// Whether nobody is there to be told.
    pub(crate) fn is_client_gone(&self) -> bool {
        matches!(self, Self::ClientGone)
    }

    /// How the exchange ended, once the reply was sent.
    pub(crate) fn ending(&self) -> Ending {
        match self.decided().1 {
            Fault::Upstream => Ending::UpstreamFailed,
            Fault::Client if self.is_client_gone() => Ending::ClientGone,
            Fault::Client | Fault::Host => Ending::Complete,
        }
    }
}
