//! Upstreams that fail, hang or have too much: what clients see of it, and what the upstream is asked.

mod circuit;
mod counted;
mod hedges;
mod load;
mod mirrors;
mod outages;
mod pools;
mod rests;
mod retries;
mod splits;
mod storms;
mod timeouts;
mod tries;

use std::net::SocketAddr;

use harness::{Body, Http, Reply, Running};
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::endpoint::serving;

/// What the host counts of the upstream `web`.
async fn counted(site: &Running, name: &str, labels: &[(&str, &str)]) -> u64 {
    let labels: Vec<(&str, &str)> = [("upstream", "web")].into_iter().chain(labels.iter().copied()).collect();
    site.admin().metrics().await.count(name, &labels)
}

/// One request on a connection of its own.
async fn ask(site: &Running, http: Http, method: &str, body: &'static str) -> Reply {
    let request = Request::builder().method(method).uri("/").body(Body::from(body)).expect("a request");
    let reply = site.connect(http).await.send(request).await;
    reply.unwrap_or_else(|error| panic!("{method} over {http:?}: {error}"))
}

/// An endpoint that takes a request, and closes without an answer.
async fn closing() -> SocketAddr {
    serving(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.shutdown().await;
    })
    .await
}
