//! What is known of a client's connection once it was accepted.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::{Name, Tls};

/// One connection of one client. Lives as long as any of its exchanges.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Unique on the worker that accepted it.
    pub id: ConnectionId,
    /// Where the client is: the socket's peer.
    pub client: SocketAddr,
    /// Where it was accepted.
    pub local: SocketAddr,
    /// The listener that accepted it.
    pub listener: Name,
    /// Whether the client speaks TLS to us.
    pub scheme: Scheme,
    /// How it came through TLS: none where it did not, or not yet.
    pub tls: Option<Arc<Tls>>,
}

/// The number of a connection, unique on its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub u64);

/// How the client reached the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// In clear text.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// The scheme as it stands in a URI.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}
