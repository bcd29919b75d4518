//! Which requests of a listener go to which upstream.

use crate::HostPattern;

/// One `[[listener.route]]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Unique in the whole config. By default the listener's name, a slash and the position from 0: `public/0`.
    pub name: String,
    /// The hosts that it is for; empty is every host.
    pub hosts: Vec<HostPattern>,
    /// The path that it is for, with everything below it: `/api` is for `/api` and `/api/x`, not for `/apis`. Starts
    /// with a slash and ends in none, but for `/` itself, which is for every path.
    pub path: String,
    /// Index into the config's upstreams.
    pub upstream: usize,
    /// Indices into the config's plugins, in order: the route's own chain, or else the listener's.
    pub chain: Vec<usize>,
}
