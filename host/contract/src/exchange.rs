//! One request and its response, on their way through a chain.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::{Connection, HeadLimits, Name};

/// One request and, later, its response. Boxed once per request; filters swap the box, never copy what is in it.
#[derive(Debug)]
pub struct Exchange {
    /// Unique in the process.
    pub id: ExchangeId,
    /// The connection that it came on.
    pub connection: Arc<Connection>,
    /// What the client speaks.
    pub protocol: Protocol,
    /// The matched route, or [`Name::NONE`].
    pub route: Name,
    /// The upstream whose answer this is, or will be; [`Name::NONE`] until an endpoint is chosen.
    pub upstream: Name,
    /// The chosen endpoint, or [`Name::NONE`].
    pub endpoint: Name,
    /// The request's head. Its headers are empty after it was forwarded, unless the chain keeps them
    /// ([`crate::Chain::keeps_request`]).
    pub request: RequestHead,
    /// The response's head, once there is one.
    pub response: Option<ResponseHead>,
    /// How large a head may become by a filter's changes.
    pub limits: HeadLimits,
}

impl Exchange {
    /// An exchange whose request head is complete.
    #[must_use]
    pub fn new(id: ExchangeId, connection: Arc<Connection>, protocol: Protocol, request: RequestHead) -> Box<Self> {
        Box::new(Self {
            id,
            connection,
            protocol,
            route: Name::NONE,
            upstream: Name::NONE,
            endpoint: Name::NONE,
            request,
            response: None,
            limits: HeadLimits::default(),
        })
    }

    /// A place holder that stands for no exchange at all: what an idle plugin instance holds.
    #[must_use]
    pub fn vacant() -> Box<Self> {
        let nowhere = SocketAddr::new(IpAddr::from([0, 0, 0, 0]), 0);
        let connection = Connection {
            id: crate::ConnectionId(0),
            client: nowhere,
            local: nowhere,
            listener: Name::NONE,
            scheme: crate::Scheme::Http,
        };
        Self::new(ExchangeId(0), Arc::new(connection), Protocol::Http1, RequestHead::default())
    }
}

/// The number of an exchange, unique in the process; zero stands for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExchangeId(pub u64);

/// What the client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// HTTP/3.
    Http3,
}

impl Protocol {
    /// The protocol as logs name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "http/1.1",
            Self::Http2 => "h2",
            Self::Http3 => "h3",
        }
    }
}

/// A request's head in the one form that all protocols decode to: origin-form target, authority apart, no `Host` header,
/// no hop-by-hop headers.
#[derive(Debug, Clone)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// Path and query, or `*` (RFC 9112, section 3.2).
    pub target: PathAndQuery,
    /// Host and port as the client wrote them: `Host` or `:authority`.
    pub authority: Option<HeaderValue>,
    /// Everything else.
    pub headers: HeaderMap,
}

impl RequestHead {
    /// The authority's bytes; empty without one.
    #[must_use]
    pub fn authority_bytes(&self) -> &[u8] {
        self.authority.as_ref().map_or(&[], HeaderValue::as_bytes)
    }

    /// The first value of a header; `host` reads the authority.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        if name.eq_ignore_ascii_case("host") {
            return self.authority.as_ref().map(HeaderValue::as_bytes);
        }
        self.headers.get(name).map(HeaderValue::as_bytes)
    }
}

impl Default for RequestHead {
    fn default() -> Self {
        Self { method: Method::GET, target: PathAndQuery::from_static("/"), authority: None, headers: HeaderMap::new() }
    }
}

/// A response's head, without hop-by-hop headers.
#[derive(Debug, Clone, Default)]
pub struct ResponseHead {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
}

/// A whole answer, made by a plugin or by the host itself.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// The status, 200 to 599.
    pub status: StatusCode,
    /// The headers, without those that frame the message.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Bytes,
}

impl Reply {
    /// An answer of one line of text: the status and what it means to the client.
    #[must_use]
    pub fn text(status: StatusCode, text: &'static str) -> Self {
        let mut headers = HeaderMap::with_capacity(1);
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        Self { status, headers, body: Bytes::from_static(text.as_bytes()) }
    }
}
