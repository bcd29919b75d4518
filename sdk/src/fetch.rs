//! Requests to upstreams, awaited within a filter.

use std::{
    cell::Cell,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, HeaderValue, bindings::capabilities::palisade::plugin::fetch as wire, header, host};

/// A request to an upstream of the configuration, to be sent with [`Fetch::send`].
///
/// The upstream must be in the plugin's grant, `grant = [{ fetch = ["auth"] }]`; its endpoints, TLS and connections are the
/// host's matter. While the answer is awaited, the host serves others and no deadline of the plugin runs.
///
/// ```
/// # use palisade_sdk::prelude::*;
/// # async fn example(request: &Request<'_>) -> Result<Flow, Error> {
/// let answer = Fetch::get("auth", "/check").header("x-path", request.path()).send().await?;
/// # Ok(if answer.status() == 200 { Flow::Continue } else { Reply::status(401).into() })
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before `send`"]
pub struct Fetch {
    request: wire::Request,
}

impl Fetch {
    /// A GET of this path and query.
    pub fn get(upstream: &str, target: &str) -> Self {
        Self::method("GET", upstream, target)
    }

    /// A POST to this path and query.
    pub fn post(upstream: &str, target: &str) -> Self {
        Self::method("POST", upstream, target)
    }

    /// A request with any method but `CONNECT`.
    pub fn method(method: &str, upstream: &str, target: &str) -> Self {
        let request = wire::Request {
            upstream: upstream.to_owned(),
            method: method.to_owned(),
            target: target.as_bytes().to_vec(),
            authority: None,
            headers: Vec::new(),
            body: Vec::new(),
            timeout_millis: 0,
        };
        Self { request }
    }

    /// What the endpoint sees as `Host`, instead of its own address.
    pub fn authority(mut self, authority: &str) -> Self {
        self.request.authority = Some(authority.as_bytes().to_vec());
        self
    }

    /// Adds a header; those that frame or route the message are the host's.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.request.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.request.body = body.into();
        self
    }

    /// Sets the body, and `content-type` to `application/json`.
    ///
    /// # Errors
    ///
    /// The value has no form in JSON.
    pub fn json(self, value: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_vec(value).map_err(Error::from_display)?;
        Ok(self.header("content-type", "application/json").body(body))
    }

    /// From now to the last byte of the answer. The operator's limit holds if it is lower.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.request.timeout_millis = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX).max(1);
        self
    }

    /// Sends it when it is first polled. Dropping the future gives the request up, wherever it is.
    pub fn send(self) -> Fetching {
        Fetching(State::Unsent(self.request))
    }
}

/// An answer under way.
#[derive(Debug)]
#[must_use = "nothing is sent before it is awaited"]
pub struct Fetching(State);

#[derive(Debug)]
enum State {
    Unsent(wire::Request),
    UnderWay(u64),
    Done,
}

impl Future for Fetching {
    type Output = Result<Fetched, FetchError>;

    fn poll(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self(state) = self.get_mut();
        if let State::Unsent(request) = state {
            match host::fetch::start(EXCHANGE.get(), request) {
                Ok(ticket) => *state = State::UnderWay(ticket),
                Err(error) => {
                    *state = State::Done;
                    return Poll::Ready(Err(error.into()));
                }
            }
        }
        let State::UnderWay(ticket) = state else { return Poll::Pending };
        let Some(answer) = host::fetch::take(*ticket) else { return Poll::Pending };
        *state = State::Done;
        Poll::Ready(answer.map(Fetched).map_err(FetchError::from))
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        if let State::UnderWay(ticket) = self.0 {
            host::fetch::cancel(ticket);
        }
    }
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Fetched(wire::Response);

impl Fetched {
    /// An answer of this status, for tests ([`TestHost::answers`](crate::TestHost::answers)).
    pub fn status_only(status: u16) -> Self {
        Self(wire::Response { status, headers: Vec::new(), body: Vec::new() })
    }

    /// With one more header, for tests.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.0.headers.push((name.to_ascii_lowercase(), value.as_bytes().to_vec()));
        self
    }

    /// With this body, for tests.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.0.body = body.into();
        self
    }

    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn into_wire(self) -> wire::Response {
        self.0
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The first value of a header. Names count without regard to case.
    pub fn header(&self, name: &str) -> Option<HeaderValue> {
        let found = self.0.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| HeaderValue::from(value.clone()))
    }

    /// All headers, names in lower case.
    pub fn headers(&self) -> Vec<(String, HeaderValue)> {
        header::fields(self.0.headers.clone())
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.0.body
    }

    /// The body from JSON.
    ///
    /// # Errors
    ///
    /// It is not JSON of this form.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.0.body).map_err(|error| Error::new(format!("the answer's body: {error}")))
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FetchError {
    /// The grant does not name the upstream.
    NotGranted,
    /// The method, the target, the authority or a header is not one, or is not for plugins to set.
    Invalid,
    /// As many requests as the plugin may have are under way.
    TooMany,
    /// The body, or the answer's, is longer than the operator allows.
    TooLarge,
    /// No connection to an endpoint could be made.
    Unreachable,
    /// The answer was not whole in time.
    Timeout,
    /// The answer broke off, or breaks the rules of HTTP.
    Broken,
}

const ERRORS: [(FetchError, wire::FetchError); 7] = [
    (FetchError::NotGranted, wire::FetchError::NotGranted),
    (FetchError::Invalid, wire::FetchError::Invalid),
    (FetchError::TooMany, wire::FetchError::TooMany),
    (FetchError::TooLarge, wire::FetchError::TooLarge),
    (FetchError::Unreachable, wire::FetchError::Unreachable),
    (FetchError::Timeout, wire::FetchError::Timeout),
    (FetchError::Broken, wire::FetchError::Broken),
];

impl From<wire::FetchError> for FetchError {
    fn from(error: wire::FetchError) -> Self {
        ERRORS.iter().find(|(_, wire)| *wire == error).map_or(Self::Broken, |(error, _)| *error)
    }
}

#[cfg(not(target_family = "wasm"))]
impl From<FetchError> for wire::FetchError {
    fn from(error: FetchError) -> Self {
        ERRORS.iter().find(|(ours, _)| *ours == error).map_or(Self::Broken, |(_, wire)| *wire)
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotGranted => "the config does not grant requests to this upstream",
            Self::Invalid => "the request's method, target, authority or a header is not one that can be sent",
            Self::TooMany => "as many requests as the plugin may have are under way",
            Self::TooLarge => "the request's body, or the answer's, is longer than the operator allows",
            Self::Unreachable => "no endpoint of the upstream can be reached",
            Self::Timeout => "the answer was not whole in time",
            Self::Broken => "the answer broke off, or breaks the rules of HTTP",
        })
    }
}

impl std::error::Error for FetchError {}

impl From<FetchError> for Error {
    fn from(error: FetchError) -> Self {
        Self::from_display(error)
    }
}

thread_local! {
    /// The exchange whose filter runs.
    static EXCHANGE: Cell<u64> = const { Cell::new(0) };
}

/// Does something on behalf of an exchange: what is sent meanwhile is sent for it.
pub(crate) fn on_behalf_of<T>(exchange: u64, run: impl FnOnce() -> T) -> T {
    let before = EXCHANGE.replace(exchange);
    let result = run();
    EXCHANGE.set(before);
    result
}
