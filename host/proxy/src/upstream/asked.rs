//! A request on its way to an upstream, and what came back.

use std::time::Duration;

use http::header::HeaderValue;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use palisade_contract::{Exchange, ResponseHead, UpstreamFault};
use tokio::time::Instant;

use crate::error::RequestError;
use crate::hints::Hints;
use crate::hygiene;
use crate::record::Record;
use crate::upstream::Connection;

/// A request that is to be sent.
pub(crate) struct Asked<'a> {
    pub(crate) exchange: &'a mut Box<Exchange>,
    pub(crate) record: &'a mut Record,
    pub(crate) takes_trailers: bool,
    /// The protocol that it asks to switch to.
    pub(crate) upgrade: Option<HeaderValue>,
    /// Where early hints go, if anywhere.
    pub(crate) hints: Option<Hints>,
    /// From its end until the head of the answer.
    pub(crate) response_timeout: Duration,
    /// When the answer has to be there, with its last byte.
    pub(crate) deadline: Option<Instant>,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) head: ResponseHead,
    pub(crate) incoming: Incoming,
    pub(crate) connection: Connection,
    /// It is a 101, as was asked for.
    pub(crate) switched: Option<Switched>,
}

/// The protocol that an endpoint switched to, and where it is spoken.
pub(crate) struct Switched {
    pub(crate) protocol: HeaderValue,
    pub(crate) stream: OnUpgrade,
}

impl Answer {
    /// What came back on this connection, in our form.
    pub(super) fn of(
        response: Response<Incoming>,
        connection: Connection,
        upgrade: Option<&HeaderValue>,
    ) -> Result<Self, RequestError> {
        let (mut parts, incoming) = response.into_parts();
        let stream = parts.extensions.remove::<OnUpgrade>();
        let head = hygiene::response(parts, upgrade).inspect_err(|_| connection.failed(UpstreamFault::Protocol))?;
        let switches = head.status == StatusCode::SWITCHING_PROTOCOLS;
        let switched = upgrade.cloned().zip(stream).filter(|_| switches);
        let switched = switched.map(|(protocol, stream)| Switched { protocol, stream });
        Ok(Self { head, incoming, connection, switched })
    }
}
