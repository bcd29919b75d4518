//! What the listeners of one config share while they are read.

use std::net::SocketAddr;

use crate::{
    ChainEntry, chain,
    reference::References,
    text::{Seen, Value},
};

/// What can be referred to, and what is taken.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) plugins: References<'a>,
    pub(crate) upstreams: References<'a>,
    pub(crate) bound: Seen<SocketAddr>,
    pub(crate) listener_names: Seen<String>,
    pub(crate) route_names: Seen<String>,
}

impl Scope<'_> {
    /// Reads a chain.
    pub(crate) fn chain(&self, value: &Value<'_>) -> Option<Vec<ChainEntry>> {
        chain::read(value, &self.plugins)
    }
}
