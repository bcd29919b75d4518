//! Where requests go: endpoints that are equal, and how to reach them.

use std::{net::SocketAddr, time::Duration};

use crate::UpstreamTls;

/// One `[upstream.NAME]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// The name that routes use.
    pub name: String,
    /// 1 to 10,000, each address once.
    pub endpoints: Vec<Endpoint>,
    /// How connections are encrypted; `None` is plain HTTP.
    pub tls: Option<UpstreamTls>,
    /// From the first packet until the connection can be used, TLS included.
    pub connect_timeout: Duration,
    /// From the end of the request until the head of the response.
    pub response_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// How long a body, either way, may make no progress.
    pub body_timeout: Duration,
    /// Unused connections kept for each endpoint and worker: 0 to 10,000.
    pub idle_connections: usize,
    /// Connections for each endpoint and worker: 1 to 1,000,000.
    pub connections: usize,
}

/// One address of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it listens; the port is not zero.
    pub address: SocketAddr,
    /// Its share relative to the others: 1 to 65,535.
    pub weight: u32,
    /// Where it stands, for balancers.
    pub zone: Option<String>,
}
