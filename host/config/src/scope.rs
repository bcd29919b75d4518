//! What the listeners of one config share while they are read.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    path::PathBuf,
};

use crate::{
    Acme, ChainEntry, chain,
    reference::References,
    text::{Seen, Value},
};

/// What can be referred to, and what is taken.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) plugins: References<'a>,
    pub(crate) upstreams: References<'a>,
    /// Those upstreams that are connected to over TLS.
    pub(crate) encrypted: HashSet<usize>,
    pub(crate) acme: References<'a>,
    /// By index; none where one is wrong.
    pub(crate) accounts: Vec<Option<Acme>>,
    /// The names of what is kept in each file.
    pub(crate) issued: HashMap<PathBuf, Vec<String>>,
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
