//! Sockets, TLS, HTTP, routes and upstreams.
