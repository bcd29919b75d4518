//! QUIC (RFC 9000) under HTTP/3: one UDP socket and one endpoint for each address and worker, whose sockets share the address.
//!
//! A packet has to come to the worker that its connection is on. The kernel sees to that: the ids that we give connections
//! begin with the number of their worker's socket, and a small program on the group of sockets reads it (`steering`). So a client that
//! changes its address, as RFC 9000, section 9 allows, keeps its connection.

mod accept;
mod config;
mod endpoint;
mod group;
mod overheard;
mod restrained;
mod sessions;
mod steering;
mod tokens;

pub(crate) use config::server;
pub(crate) use endpoint::Endpoints;
pub(crate) use group::{Group, Groups, HeldSocket, Occupied};
pub(crate) use overheard::overheard;
pub(crate) use sessions::Sessions;
