//! All hostile guests at once, in the host's own process: it goes on, in little memory, and others are served.

use std::sync::Arc;

use harness::{Body, Http, Origin, Running, Site};
use http::Request;
use serde_json::json;

/// Every guest that fails or misbehaves on a request, and what its clients are told; 0 where the connection is closed.
const GUESTS: [(&str, u16); 11] = [
    ("endless-loop", 503),
    ("endless-recursion", 503),
    ("memory-hog", 503),
    ("fails", 503),
    ("big-reply", 503),
    ("header-bomb", 503),
    ("close", 0),
    ("panics-in-balancer", 200),
    ("absurd-pick", 200),
    ("panics-in-observer", 200),
    ("counts", 200),
];

const RESIDENT_BYTES_MAX: u64 = 200 << 20;

#[tokio::test]
async fn the_same_process_goes_on_whatever_its_plugins_do() {
    let good = Site::new().set("workers", 2).origin(Origin::echo()).plugin("good", "tag", json!({ "name": "good" }));
    let good = good.route(json!({ "path": "/good", "chain": ["good"] }));
    let site = GUESTS.iter().fold(good, |site, (guest, _)| {
        site.plugin(guest, guest, json!({})).route(json!({ "path": format!("/{guest}"), "chain": [guest] }))
    });
    let mut running = site.set("plugin.endless-loop.limits.deadline", "50ms").start_process().await;
    let id = running.process().id();
    let site = Arc::new(running);
    let mut clients = tokio::task::JoinSet::new();
    for http in Http::ALL {
        for (guest, status) in GUESTS {
            clients.spawn(bad_client(site.clone(), http, guest, status));
        }
        for _ in 0..3 {
            clients.spawn(good_client(site.clone(), http));
        }
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    assert_eq!(site.admin().get("/healthz").await.text(), "alive\n");
    site.idle().await;
    let mut running = Arc::into_inner(site).unwrap();
    assert_eq!(running.process().id(), id);
    let (_, peak) = running.process().resident_bytes();
    assert!(peak < RESIDENT_BYTES_MAX, "{} MiB", peak >> 20);
    running.shut_down().await;
}

async fn bad_client(site: Arc<Running>, http: Http, guest: &'static str, status: u16) {
    for _ in 0..20 {
        let request = Request::get(format!("/{guest}")).body(Body::empty()).expect("a request");
        let told = site.connect(http).await.send(request).await.map_or(0, |reply| reply.status);
        assert_eq!(told, status, "{guest} {http:?}");
    }
}

async fn good_client(site: Arc<Running>, http: Http) {
    let mut client = site.connect(http).await;
    for _ in 0..100 {
        let reply = client.get("/good").await;
        assert_eq!((reply.status, reply.values("x-tag")), (200, vec!["good"]), "{http:?}");
    }
}
