//! The admin listener: metrics, health and plugins.

use std::net::SocketAddr;

/// The `[admin]` table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens. A loopback address unless the operator wrote `allow_remote = true`.
    pub bind: SocketAddr,
}
