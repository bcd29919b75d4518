//! gRPC through a chain: a client and a server of tonic, and whatever they do with the streams between them.

mod calls;
mod channel;
mod endings;
mod service;

use std::sync::Arc;

use harness::{Running, Site};
use serde_json::json;

use channel::Channel;
use service::{Service, serve};

/// A server, a host with a chain before it, and a client.
struct Grpc {
    site: Running,
    service: Arc<Service>,
    client: tonic::client::Grpc<Channel>,
}

impl Grpc {
    async fn new() -> Self {
        Self::of(Site::new()).await
    }

    async fn of(site: Site) -> Self {
        let service = Arc::new(Service::default());
        let address = serve(service.clone()).await;
        let site = site
            .set("upstream.web", json!({ "endpoints": [address.to_string()], "protocol": "h2" }))
            .plugin("tag", "tag", json!({ "name": "a" }))
            .chain(&["tag"])
            .start()
            .await;
        let channel = Channel::new(&site).await;
        let origin = format!("https://{}", harness::HOST).parse().expect("an origin");
        let mut client = tonic::client::Grpc::with_origin(channel, origin);
        client.ready().await.expect("a connection");
        Self { site, service, client }
    }
}
