//! Which hosts a route is for.

/// One entry of a route's `host`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This host alone: a name in lower case, an IPv4 address, or an IPv6 address in brackets. No port.
    Exact(String),
    /// Every host that ends in this and is longer. It starts with a dot: `*.example.com` is `.example.com` here.
    Suffix(String),
}
