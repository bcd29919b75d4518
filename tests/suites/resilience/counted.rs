//! What a circuit counts beside clients' requests, and where a request goes whose endpoint has no room.

use std::net::SocketAddr;

use harness::{Answer, Http, Origin, Running, Site, eventually};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::counted;
use crate::endpoint::serving;

/// A host whose listener `tcp` passes everything on to this endpoint, one connection at a time.
async fn passing(endpoint: SocketAddr) -> Running {
    let listener = json!({ "bind": "127.0.0.1:0", "protocol": "tcp", "route": [{ "upstream": "web" }] });
    let upstream = json!({ "endpoints": [endpoint.to_string()], "circuit": { "requests": 1 } });
    Site::new().set("listener", json!({ "tcp": listener })).set("upstream.web", upstream).start().await
}

/// A connection on which a byte has come. One that is refused may be reset before it is seen to be there.
async fn greeted(site: &Running) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(site.address("tcp")).await.ok()?;
    stream.read_u8().await.ok().map(|_| stream)
}

#[tokio::test]
async fn connections_that_carry_anything_are_under_way_until_their_end() {
    let endpoint = serving(|mut stream| async move {
        let _ = stream.write_all(b"!").await;
        while stream.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
    });
    let site = passing(endpoint.await).await;
    let first = greeted(&site).await.expect("a byte");
    assert!(greeted(&site).await.is_none(), "one is as many as may be");
    let refused = counted(&site, "palisade_upstream_circuit_refusals_total", &[("reason", "requests")]).await;
    assert_eq!(refused, 1);
    drop(first);
    eventually("there is room again", async || greeted(&site).await.is_some()).await;
}

#[tokio::test]
async fn what_comes_of_plugins_requests_opens_and_closes_a_circuit() {
    let is_well = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let well = is_well.clone();
    let auth = Origin::answering(move |_| {
        if well.load(std::sync::atomic::Ordering::SeqCst) { Answer::body("ok") } else { Answer::status(500) }
    });
    let error_rate = json!({ "percent": 50, "requests": 5, "open": "700ms", "trials": 1 });
    let upstream = json!({
        "endpoints": [auth.address().to_string()], "ejection": false, "circuit": { "error_rate": error_rate },
    });
    let site = Site::new()
        .plugin("a", "asks", json!({ "upstream": "auth" }))
        .set("plugin.a.grant", json!(["metrics", { "fetch": ["auth"] }]))
        .set("upstream.auth", upstream)
        .chain(&["a"])
        .origin(Origin::echo())
        .start()
        .await;
    let circuit = async || {
        let metrics = site.admin().metrics().await;
        metrics.count("palisade_upstream_circuit", &[("upstream", "auth")])
    };
    for _ in 0..5 {
        assert_eq!(site.get("/").await.status, 500);
    }
    assert_eq!(circuit().await, 2);
    assert_ne!(site.get("/").await.status, 200);
    assert_eq!(auth.seen().len(), 5, "it is left alone");
    is_well.store(true, std::sync::atomic::Ordering::SeqCst);
    eventually("a trial has ended well", async || site.get("/").await.status == 200).await;
    assert_eq!(circuit().await, 0);
}

#[tokio::test]
async fn nobody_waits_for_an_endpoint_while_another_one_has_room() {
    let upstream = json!({
        "endpoints": [], "connections": 1, "circuit": { "pending": 10, "pending_timeout": "25s" },
    });
    // Whatever has this header is for one endpoint.
    let settings = json!({ "algorithm": "maglev", "hash_on": { "header": "x-key" } });
    let site = Site::new()
        .set("upstream.web", upstream)
        .plugin("lb", "balance", settings)
        .chain(&["lb"])
        .origin(Origin::echo())
        .origin(Origin::echo())
        .start()
        .await;
    let get = async |path: &'static str| {
        let request = http::Request::get(path).header("x-key", "a").body(harness::Body::empty()).expect("a request");
        site.connect(Http::H1).await.send(request).await.expect("an answer").status
    };
    let asked = || (site.origin(0).seen().len(), site.origin(1).seen().len());
    let all = async {
        tokio::join!(get("/hold"), async {
            eventually("one is busy", async || asked().0 + asked().1 == 1).await;
            let busy = if asked().0 == 1 { 0 } else { 1 };
            for number in 1..=3 {
                assert_eq!(get("/").await, 200);
                assert_eq!(site.origin(1 - busy).seen().len(), number, "the other one");
            }
            // With both busy, it waits.
            tokio::join!(get("/hold"), async {
                eventually("both are busy", async || site.origin(1 - busy).seen().len() == 4).await;
                let mut waits = Box::pin(get("/"));
                let soon = tokio::time::timeout(std::time::Duration::from_millis(300), &mut waits).await;
                assert!(soon.is_err(), "there is no room");
                site.origin(0).release();
                site.origin(1).release();
                assert_eq!(waits.await, 200);
            })
        })
    };
    let (first, (second, ())) = all.await;
    assert_eq!((first, second), (200, 200));
}
