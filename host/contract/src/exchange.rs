//! One request and its response, on their way through a chain.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use crate::{Alternatives, Connection, HeadError, HeadLimits, Name, head};

/// One request and, later, its response. Boxed once per request; filters swap the box, never copy what is in it.
#[derive(Debug, Clone)]
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
    /// Headers that the balancer adds to the answer of the endpoint that it has picked.
    pub picked_headers: Option<Box<HeaderMap>>,
    /// How large a head may become by a filter's changes.
    pub limits: HeadLimits,
    /// For a connection that carries anything: where else it may go.
    pub alternatives: Option<Box<Alternatives>>,
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
            picked_headers: None,
            limits: HeadLimits::default(),
            alternatives: None,
        })
    }

    /// Adds a header to the answer of the endpoint that is being picked.
    ///
    /// # Errors
    /// See [`HeadError`]; nothing has changed then.
    pub fn add_picked_header(&mut self, name: &str, value: &[u8]) -> Result<(), HeadError> {
        let headers = self.picked_headers.get_or_insert_default();
        head::append(headers, self.limits, name, value)
    }

    /// Gives an endpoint's answer the headers that its pick came with, as far as they fit.
    pub fn answer_with_picked_headers(&mut self, answer: &mut ResponseHead) {
        let Some(headers) = self.picked_headers.take() else { return };
        for (name, value) in headers.iter() {
            if head::append(&mut answer.headers, self.limits, name.as_str(), value.as_bytes()).is_err() {
                return;
            }
        }
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
            tls: None,
        };
        Self::new(ExchangeId(0), Arc::new(connection), Protocol::Http1, RequestHead::default())
    }
}

/// The number of an exchange, unique in the process; zero stands for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExchangeId(pub u64);

impl ExchangeId {
    /// A number that this never gave before, below 2⁴⁸ for longer than any process runs: for an embedder that has no
    /// numbers of its own.
    #[must_use]
    pub fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed).wrapping_add(1))
    }
}

/// What the client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// HTTP/3.
    Http3,
    /// Anything: its bytes are passed on as they are, and the exchange is all of the connection.
    Tcp,
}

impl Protocol {
    /// The protocol as logs name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "http/1.1",
            Self::Http2 => "h2",
            Self::Http3 => "h3",
            Self::Tcp => "tcp",
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
    /// The head of a request that an HTTP server has parsed, in our form: for an embedder. None where it has no path, or
    /// where its host is missing, doubled or not one.
    #[must_use]
    pub fn from_parts(parts: http::request::Parts) -> Option<Self> {
        let http::request::Parts { method, uri, mut headers, .. } = parts;
        let mut hosts = headers.get_all(header::HOST).iter();
        let (host, doubled) = (hosts.next(), hosts.next());
        let authority = match uri.authority() {
            Some(authority) => head::parse_authority(authority.as_str().as_bytes()),
            None => head::parse_authority(host?.as_bytes()),
        };
        let authority = authority.filter(|_| doubled.is_none())?;
        let target = uri.into_parts().path_and_query?;
        head::RESERVED.iter().for_each(|name| drop(headers.remove(name)));
        Some(Self { method, target, authority: Some(authority), headers })
    }

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

impl From<Reply> for Response<Bytes> {
    /// As an HTTP server sends it.
    fn from(reply: Reply) -> Self {
        let mut response = Self::new(reply.body);
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers;
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    #[test]
    fn a_parsed_request_becomes_a_head_if_it_has_one_host_and_a_path() {
        check("/a?b", &[("host", "x:8443")], Some("x:8443 /a?b"));
        check("http://y/a", &[("host", "x")], Some("y /a"));
        check("/a", &[("host", "x"), ("connection", "close"), ("keep-alive", "1"), ("te", "trailers")], Some("x /a"));
        check("/a", &[("host", "x"), ("accept", "*/*")], Some("x /a accept"));
        check("/a", &[], None);
        check("/a", &[("host", "x"), ("host", "x")], None);
        check("/a", &[("host", "user@x")], None);
        check("x:443", &[], None);
    }

    fn check(uri: &str, fields: &[(&str, &str)], expected: Option<&str>) {
        let request = fields.iter().fold(Request::get(uri), |request, (name, value)| request.header(*name, *value));
        let head = RequestHead::from_parts(request.body(()).expect("a request").into_parts().0);
        let found = head.map(|head| {
            let mut words = vec![String::from_utf8_lossy(head.authority_bytes()).into_owned(), head.target.to_string()];
            words.extend(head.headers.keys().map(ToString::to_string));
            words.join(" ")
        });
        assert_eq!(found.as_deref(), expected, "{uri} {fields:?}");
    }

    #[test]
    fn a_reply_is_a_response() {
        let response = Response::from(Reply::text(StatusCode::NOT_FOUND, "not here\n"));
        assert_eq!((response.status(), &response.body()[..]), (StatusCode::NOT_FOUND, &b"not here\n"[..]));
        assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    }

    #[test]
    fn numbers_of_exchanges_are_never_given_twice_and_never_none() {
        let (one, two) = (ExchangeId::next(), ExchangeId::next());
        assert!(one != two && one.0 != 0 && two.0 != 0);
    }
}
