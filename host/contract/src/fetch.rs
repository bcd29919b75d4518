//! What a worker lends to the plugins that are opened on it: a way to ask an upstream something.

use std::fmt::Debug;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method};

use crate::Reply;

/// What one worker has for the plugins that are opened on it.
#[derive(Debug, Clone)]
pub struct WorkerServices {
    /// Asks upstreams on behalf of plugins.
    pub fetch: Rc<dyn Fetch>,
}

impl Default for WorkerServices {
    /// A worker without upstreams: every callout fails.
    fn default() -> Self {
        Self { fetch: Rc::new(Nowhere) }
    }
}

/// Asks an upstream something on behalf of a plugin, from the calling thread.
pub trait Fetch: Debug {
    /// Sends the request and gives the whole answer. Dropping the future gives the request up.
    fn fetch(&self, callout: Callout) -> Fetching;
}

/// An answer under way.
pub type Fetching = Pin<Box<dyn Future<Output = Result<Reply, FetchError>>>>;

/// A request that a plugin makes.
#[derive(Debug, Clone)]
pub struct Callout {
    /// The upstream's name in the configuration.
    pub upstream: String,
    /// The method.
    pub method: Method,
    /// Path and query.
    pub target: PathAndQuery,
    /// What the endpoint sees as `Host`; none for the endpoint's own address.
    pub authority: Option<HeaderValue>,
    /// The headers, without those that frame or route the message.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Bytes,
    /// From the call to the last byte of the answer.
    pub timeout: Duration,
    /// How long the answer's body may be.
    pub body_bytes_max: usize,
}

/// Why a callout got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The configuration has no such upstream.
    #[error("there is no upstream {0:?}")]
    NoUpstream(String),
    /// None of its endpoints took the connection.
    #[error("upstream {0:?} cannot be reached")]
    Unreachable(String),
    /// The answer was not whole in time.
    #[error("no whole answer in {0:?}")]
    Timeout(Duration),
    /// The answer's body is too long.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    /// The answer broke off or breaks the rules of HTTP.
    #[error("no answer: {0}")]
    Broken(String),
}

/// For filters that are opened where there are no upstreams.
#[derive(Debug)]
struct Nowhere;

impl Fetch for Nowhere {
    fn fetch(&self, callout: Callout) -> Fetching {
        Box::pin(std::future::ready(Err(FetchError::NoUpstream(callout.upstream))))
    }
}
