//! HTTP/3, as aioquic speaks it.

use std::sync::Arc;

use harness::{Aioquic, Origin, Quic, Running, Site};
use serde_json::json;

mod browser;
mod early;
mod exchanges;
mod floods;
mod life;
mod malformed;
mod reload;
mod same;
mod tunnels;

pub(crate) use browser::browse;

/// A site whose `public` speaks HTTP/3, too.
fn site() -> Site {
    Site::new().set("listener.public.http", json!(["h1", "h2", "h3"]))
}

/// The chain of three, as the quickstart has them.
fn chained() -> Site {
    let rules = json!([{ "name": "admin", "action": "deny", "when": { "path_prefix": "/admin" } }]);
    let site = site().plugin("wall", "firewall", json!({ "rules": rules }));
    site.plugin("lb", "balance", json!({})).plugin("qps", "qps", json!({})).chain(&["wall", "lb", "qps"])
}

async fn started(site: Site) -> (Running, Quic) {
    let site = site.origin(Origin::echo()).start().await;
    let client = Arc::new(Aioquic::start()).connect(&site).await;
    (site, client)
}
