//! Where clients are accepted and what becomes of their requests.

use std::{net::SocketAddr, time::Duration};

use ipnet::IpNet;

use crate::{ListenerTls, Route};

/// One `[[listener]]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Unique among the listeners.
    pub name: String,
    /// 1 to 64 addresses; none is bound by another listener. Port 0 is any free port.
    pub bind: Vec<SocketAddr>,
    /// What is spoken: at least one version, and HTTP/2 only over TLS.
    pub http: HttpVersions,
    /// `None` is plain HTTP.
    pub tls: Option<ListenerTls>,
    /// Indices into the config's plugins, in order: what requests pass that no route is for, and the default of routes.
    pub chain: Vec<usize>,
    /// What becomes of requests.
    pub action: Action,
    /// Peers whose `X-Forwarded-*` and `Forwarded` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// What clients may use.
    pub limits: ListenerLimits,
}

/// The HTTP versions of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpVersions {
    /// HTTP/1.0 and 1.1.
    pub h1: bool,
    /// HTTP/2.
    pub h2: bool,
}

/// What becomes of a listener's requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// They go to upstreams: at least one route, no two for the same host and path.
    Routes(Vec<Route>),
    /// They are sent to the same URL under `https`.
    RedirectToHttps {
        /// The port in the new URL; 443 is left out of it.
        port: u16,
        /// 301, 302, 307 or 308.
        status: u16,
    },
}

/// What the clients of a listener may use. Every timeout is 1 ms to 1 h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Bytes of a request's head: 8 KiB to 1 MiB.
    pub header_bytes: usize,
    /// Header fields of a request: 1 to 1,000.
    pub headers: usize,
    /// Bytes of the target (path and query): 1 to 64 KiB, at most `header_bytes`.
    pub target_bytes: usize,
    /// From the first byte of a head until its last.
    pub header_timeout: Duration,
    /// How long a body, either way, may make no progress.
    pub body_timeout: Duration,
    /// How long a connection may be without a request.
    pub idle_timeout: Duration,
    /// How long the TLS handshake may take.
    pub handshake_timeout: Duration,
    /// Connections at a time over all workers: 1 to 1,000,000.
    pub connections: usize,
    /// Requests at a time on one HTTP/2 connection: 1 to 1,000.
    pub streams: u32,
    /// Bytes of a request's body; `None` is any number.
    pub request_body_bytes: Option<u64>,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            header_bytes: 64 * 1024,
            headers: 100,
            target_bytes: 8 * 1024,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(75),
            handshake_timeout: Duration::from_secs(10),
            connections: 10_000,
            streams: 100,
            request_body_bytes: None,
        }
    }
}
