//! What the listeners of one config share while they are read.

use std::net::SocketAddr;

use crate::{
    reference::References,
    text::{Form, Seen, Value},
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
    /// Reads a chain: plugins in order, each at most once.
    pub(crate) fn chain(&self, value: &Value<'_>) -> Option<Vec<usize>> {
        let mut seen = Seen::default();
        let mut chain = Vec::new();
        for element in value.list(CHAIN)? {
            let Some(plugin) = self.plugins.find(&element) else { continue };
            match seen.insert(plugin, &element) {
                Ok(()) => chain.push(plugin),
                Err(first) => element.refuse(format!("{} is {first} already", element.found())).unwrap_or_default(),
            }
        }
        Some(chain)
    }
}

const CHAIN: Form = Form { noun: "a list", expected: "names of plugins, such as [\"firewall\"]" };
