//! A request on its way out: written for the endpoint that it goes to, and kept as long as it may have to go out again.

use std::net::SocketAddr;

use http::header::{self, HeaderValue};
use http::{Method, Request, Uri};

use palisade_contract::Exchange;

use crate::body::RequestBody;
use crate::upstream::Connection;
use crate::upstream::asked::Asked;
use crate::upstream::spare::Spare;

/// One request, before it is sent and between its tries.
pub(crate) struct Letter {
    is_idempotent: bool,
    /// The client named no host, so each endpoint is told its own.
    names_endpoint: bool,
    /// How much of a body is kept.
    body_bytes: usize,
    state: State,
}

enum State {
    /// The head is in its exchange.
    Unwritten(RequestBody),
    /// Nothing of it was sent.
    Unsent(Request<RequestBody>),
    /// It was sent. The same once more, where it may go out again.
    Sent(Option<Spare>),
}

/// Whether a request may go out again by what is configured, if it is one that can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Only where a connection turns out to be closed, or the endpoint says that it did nothing with it.
    ForConnection,
    /// Where an endpoint does not answer, or not well.
    ForRetry,
}

impl Letter {
    /// A request whose head is in its exchange. So much of its body is kept.
    pub(crate) fn new(method: &Method, body: RequestBody, body_bytes: usize) -> Self {
        let is_idempotent = method.is_idempotent();
        Self { is_idempotent, names_endpoint: false, body_bytes, state: State::Unwritten(body) }
    }

    /// A request that is written already.
    pub(crate) fn of(request: Request<RequestBody>) -> Self {
        let is_idempotent = request.method().is_idempotent();
        Self { is_idempotent, names_endpoint: false, body_bytes: 0, state: State::Unsent(request) }
    }

    /// Whether sending it twice does no more harm than sending it once (RFC 9110, section 9.2.2).
    pub(crate) fn is_idempotent(&self) -> bool {
        self.is_idempotent
    }

    /// Whether it can be sent, once more or for the first time.
    pub(crate) fn is_sendable(&self) -> bool {
        match &self.state {
            State::Unwritten(_) | State::Unsent(_) => true,
            State::Sent(spare) => spare.as_ref().is_some_and(|spare| spare.body().is_repeatable()),
        }
    }

    /// Writes it, if it is not yet, for an endpoint.
    pub(crate) fn write(&mut self, asked: &mut Asked<'_>, endpoint: SocketAddr) {
        self.state = match std::mem::replace(&mut self.state, State::Sent(None)) {
            State::Unwritten(body) => {
                self.names_endpoint = asked.exchange.request.authority.is_none();
                State::Unsent(asked.request(endpoint, body))
            }
            written => written,
        };
    }

    /// What is sent on this connection. None where it was sent and cannot be again.
    pub(crate) fn take(&mut self, connection: &Connection, keep: Keep) -> Option<Request<RequestBody>> {
        let endpoint = connection.pool().endpoint.address;
        match std::mem::replace(&mut self.state, State::Sent(None)) {
            State::Unwritten(_) => None,
            State::Unsent(mut request) => {
                self.address(&mut request, endpoint);
                // An endpoint of HTTP/2 may say of any request that it did nothing with it.
                let is_of_use = keep == Keep::ForRetry || connection.is_used();
                if connection.is_shared() || (self.is_idempotent && is_of_use) {
                    if self.body_bytes > 0 {
                        request = request.map(|body| body.kept(self.body_bytes));
                    }
                    self.state = State::Sent(Spare::of(&request));
                }
                Some(request)
            }
            State::Sent(spare) => {
                let spare = spare?;
                let request = spare.request().map(|mut request| {
                    self.address(&mut request, endpoint);
                    request
                });
                self.state = State::Sent(Some(spare));
                request
            }
        }
    }

    /// Whether the same request can go out once more, which was sent.
    pub(crate) fn has_spare(&self) -> bool {
        matches!(&self.state, State::Sent(Some(spare)) if spare.body().is_repeatable())
    }

    /// Whether it has no body.
    pub(crate) fn is_without_body(&self) -> bool {
        match &self.state {
            State::Unwritten(body) => body.is_empty(),
            State::Unsent(request) => request.body().is_empty(),
            State::Sent(spare) => spare.as_ref().is_some_and(|spare| spare.body().is_empty()),
        }
    }

    /// The same request for another endpoint beside this one, where it has no body.
    pub(crate) fn twin(&self) -> Option<Self> {
        let State::Unsent(request) = &self.state else { return None };
        let state = State::Unsent(Spare::of(request)?.request()?);
        Some(Self { is_idempotent: self.is_idempotent, names_endpoint: self.names_endpoint, body_bytes: 0, state })
    }

    /// Whoever is asked for another endpoint reads the same fields as before, though they have moved.
    pub(crate) fn lend(&self, exchange: &mut Exchange) {
        if !exchange.request.headers.is_empty() {
            return;
        }
        exchange.request.headers = match &self.state {
            State::Unsent(request) => request.headers().clone(),
            State::Sent(Some(spare)) => spare.headers(),
            State::Unwritten(_) | State::Sent(None) => return,
        };
        exchange.request.headers.remove(header::HOST);
    }

    /// It has come back: nothing of it was sent.
    pub(crate) fn came_back(&mut self, request: Request<RequestBody>) {
        self.state = State::Unsent(request);
    }

    /// It is answered, and does not go out again.
    pub(crate) fn is_answered(&self) {
        if let State::Sent(Some(spare)) = &self.state {
            spare.body().forget();
        }
    }

    fn address(&self, request: &mut Request<RequestBody>, endpoint: SocketAddr) {
        if !self.names_endpoint {
            return;
        }
        if request.uri().authority().is_some() {
            let parts = std::mem::take(request.uri_mut()).into_parts();
            *request.uri_mut() = parts.path_and_query.map(Uri::from).unwrap_or_default();
        }
        request.headers_mut().insert(header::HOST, host(None, endpoint));
    }
}

impl Asked<'_> {
    /// The request as the endpoint gets it, but for what is different from protocol to protocol. The head's fields move into
    /// it, unless the chain reads them again.
    fn request(&mut self, endpoint: SocketAddr, body: RequestBody) -> Request<RequestBody> {
        let keeps = self.record.lease().is_some_and(|lease| lease.chain().keeps_request());
        let head = &mut self.exchange.request;
        let mut headers = if keeps { head.headers.clone() } else { std::mem::take(&mut head.headers) };
        headers.insert(header::HOST, host(head.authority.as_ref(), endpoint));
        if self.takes_trailers {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
        if let Some(protocol) = &self.upgrade {
            headers.insert(header::UPGRADE, protocol.clone());
        }
        let mut request = Request::new(body);
        *request.method_mut() = head.method.clone();
        *request.uri_mut() = Uri::from(head.target.clone());
        *request.headers_mut() = headers;
        if let Some(hints) = &self.hints {
            hints.clone().of(&mut request);
        }
        request
    }
}

/// The client's authority, or the endpoint's own for a client that gave none.
fn host(authority: Option<&HeaderValue>, endpoint: SocketAddr) -> HeaderValue {
    let of_endpoint = || HeaderValue::from_str(&endpoint.to_string()).unwrap_or(HeaderValue::from_static(""));
    authority.cloned().unwrap_or_else(of_endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_always_told_a_host() {
        let endpoint = SocketAddr::from(([10, 0, 0, 1], 80));
        assert_eq!(host(None, endpoint), "10.0.0.1:80");
        assert_eq!(host(Some(&HeaderValue::from_static("a")), endpoint), "a");
    }

    #[test]
    fn an_endpoint_is_told_its_own_host_where_the_client_named_none() {
        let (body, _) = RequestBody::whole(bytes::Bytes::new());
        let mut letter = Letter::new(&Method::GET, body, 0);
        let (body, _) = RequestBody::whole(bytes::Bytes::new());
        let mut request = Request::builder().uri("http://10.0.0.1/a?b").body(body).expect("a request");
        letter.names_endpoint = true;
        letter.address(&mut request, SocketAddr::from(([10, 0, 0, 2], 80)));
        assert_eq!(request.uri().to_string(), "/a?b");
        assert_eq!(request.headers()["host"], "10.0.0.2:80");
    }
}
