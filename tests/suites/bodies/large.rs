//! Bodies that are larger than the host may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use harness::{Body, Http, Running, Site};
use http::Request;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::json;
use tokio::sync::watch;

use crate::endpoint::{flood, sink};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;
/// What the host may have in memory at most.
const RESIDENT_MAX: u64 = 150 * MIB;
/// What may be on its way when nobody takes it: buffers of three sockets, and windows.
const UNDER_WAY_MAX: u64 = 48 * MIB;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_of_a_gibibyte_passes_through_little_memory() {
    let (address, _) = flood().await;
    let mut site = site(&address.to_string()).await;
    for http in [Http::H1, Http::H2] {
        let request = Request::get(format!("/{GIB}")).body(Body::empty()).expect("a request");
        let mut client = site.connect(http).await;
        let response = client.open(request).await.expect("a head");
        assert_eq!(taken(response.into_body()).await, GIB, "{http:?}");
        check_memory(&mut site, http);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_of_a_gibibyte_passes_through_little_memory() {
    let (_open, always) = watch::channel(true);
    let mut site = site(&sink(always).await.to_string()).await;
    for http in [Http::H1, Http::H2] {
        let (request, _) = upload(GIB);
        let reply = site.connect(http).await.send(request).await.expect("an answer");
        assert_eq!((reply.status, reply.text()), (200, "ok"), "{http:?}");
        check_memory(&mut site, http);
    }
    let bytes = site.admin().metrics().await.sum("palisade_request_body_bytes_total", &[]);
    assert_eq!(bytes.total_cmp(&(2.0 * GIB as f64)), std::cmp::Ordering::Equal, "{bytes}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_stops_the_endpoint() {
    for http in Http::ALL {
        let (address, given) = flood().await;
        let mut site = site(&address.to_string()).await;
        let request = Request::get(format!("/{}", 256 * MIB)).body(Body::empty()).expect("a request");
        let mut client = site.connect(http).await;
        let response = client.open(request).await.expect("a head");
        let stopped = stopped(&given).await;
        assert!(stopped < UNDER_WAY_MAX, "{stopped} bytes were taken from the endpoint over {http:?}");
        check_memory(&mut site, http);
        assert_eq!(taken(response.into_body()).await, 256 * MIB, "{http:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_does_not_read_stops_the_client() {
    for http in Http::ALL {
        let (open, opened) = watch::channel(false);
        let mut site = site(&sink(opened).await.to_string()).await;
        let (request, given) = upload(256 * MIB);
        let mut client = site.connect(http).await;
        let sending = tokio::spawn(async move { client.send(request).await });
        let stopped = stopped(&given).await;
        assert!(stopped < UNDER_WAY_MAX, "{stopped} bytes were taken from the client over {http:?}");
        check_memory(&mut site, http);
        open.send_replace(true);
        let reply = sending.await.expect("a client that does not panic").expect("an answer");
        assert_eq!(reply.status, 200, "{http:?}");
    }
}

/// The host's program with all three plugins before this endpoint.
async fn site(endpoint: &str) -> Running {
    let described = || {
        Site::new()
            .plugin("firewall", "firewall", json!({ "deny": ["203.0.113.0/24"] }))
            .plugin("balance", "balance", json!({}))
            .plugin("qps", "qps", json!({}))
            .chain(&["firewall", "balance", "qps"])
            .set("upstream.web.endpoints", json!([endpoint]))
    };
    // Compiles what was not compiled before: what that takes is not what bodies take.
    drop(described().start().await);
    described().start_process().await
}

#[track_caller]
fn check_memory(site: &mut Running, http: Http) {
    let (_, most) = site.process().resident_bytes();
    assert!(most < RESIDENT_MAX, "{} MiB were resident over {http:?}", most / MIB);
}

/// A request with so many bytes, and how many of them have been taken.
fn upload(bytes: u64) -> (Request<Body>, Arc<AtomicU64>) {
    let (feed, body) = Body::fed(Some(bytes));
    let given = Arc::new(AtomicU64::new(0));
    let counted = given.clone();
    let piece = Bytes::from(vec![7; 64 << 10]);
    tokio::spawn(async move {
        let mut rest = bytes;
        while rest > 0 {
            let length = rest.min(piece.len() as u64);
            if !feed.send(piece.slice(..usize::try_from(length).expect("a piece"))).await {
                return;
            }
            rest -= length;
            counted.fetch_add(length, Ordering::Relaxed);
        }
    });
    (Request::post("/").body(body).expect("a request"), given)
}

async fn taken(mut body: Incoming) -> u64 {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame.expect("a whole body").data_ref().map_or(0, |data| data.len() as u64);
    }
    bytes
}

/// The count, when it has not changed for a second.
async fn stopped(count: &AtomicU64) -> u64 {
    let (mut last, mut unchanged) = (0, 0);
    while unchanged < 20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = count.load(Ordering::Relaxed);
        unchanged = if now == last && now > 0 { unchanged + 1 } else { 0 };
        last = now;
    }
    last
}
