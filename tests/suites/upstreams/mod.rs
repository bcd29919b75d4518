//! Endpoints that speak HTTP/2: who shares a connection, what passes over it, and how it ends.

mod ends;
mod filters;
mod messages;
mod negotiates;
mod shares;
pub(crate) mod spoken;

use harness::{Origin, Running, Site};
use serde_json::json;

/// A host before an endpoint that speaks HTTP/2 without TLS.
async fn over_http2(origin: Origin) -> Running {
    described(origin).start().await
}

fn described(origin: Origin) -> Site {
    Site::new().set("upstream.web.protocol", "h2").origin(origin)
}

/// A host before an endpoint of a test's own.
async fn before(address: std::net::SocketAddr) -> Running {
    Site::new().set("upstream.web", json!({ "endpoints": [address.to_string()], "protocol": "h2" })).start().await
}

async fn connections(site: &Running) -> u64 {
    site.admin().metrics().await.count("palisade_upstream_connections", &[])
}

async fn failures(site: &Running, reason: &str) -> u64 {
    site.admin().metrics().await.count("palisade_upstream_failures_total", &[("upstream", "web"), ("reason", reason)])
}
