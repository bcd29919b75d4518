//! How long an exchange may take, and a part of it.

use std::time::{Duration, Instant};

use harness::{Body, ClientError, Http, Origin, Site};
use http::Request;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::endpoint::serving;

#[tokio::test]
async fn an_exchange_that_takes_too_long_before_its_answer_is_a_504() {
    for (key, timeout) in [("upstream.web.total_timeout", "300ms"), ("upstream.web.response_timeout", "300ms")] {
        let site = Site::new().set(key, timeout).origin(Origin::echo()).start().await;
        for http in Http::ALL {
            let began = Instant::now();
            let reply = site.connect(http).await.get("/hold").await;
            assert_eq!((reply.status, reply.text()), (504, "gateway timeout\n"), "{key} over {http:?}");
            assert!(began.elapsed() >= Duration::from_millis(290), "{key} over {http:?}: {:?}", began.elapsed());
            assert_eq!(site.connect(http).await.get("/").await.status, 200, "{key} over {http:?}");
        }
        site.idle().await;
    }
}

#[tokio::test]
async fn an_answer_that_goes_on_for_too_long_breaks_off() {
    // Always progress, and no end.
    let endless = serving(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        while stream.write_all(b"1\r\nx\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let upstream = json!({ "endpoints": [endless.to_string()], "total_timeout": "400ms" });
    let site = Site::new().set("upstream.web", upstream).start().await;
    for http in Http::ALL {
        let request = Request::get("/").body(Body::empty()).expect("a request");
        match site.connect(http).await.send(request).await {
            Err(ClientError::Truncated { status: 200, received, .. }) => assert!(!received.is_empty(), "{http:?}"),
            other => panic!("{other:?} over {http:?}"),
        }
    }
    site.idle().await;
}

#[tokio::test]
async fn a_route_has_timeouts_of_its_own() {
    let site = Site::new()
        .set("upstream.web.total_timeout", "200ms")
        .route(json!({ "path": "/" }))
        .route(json!({ "path": "/hold", "total_timeout": "off", "response_timeout": "500ms" }))
        .route(json!({ "path": "/hold/long", "total_timeout": "10s" }))
        .origin(Origin::echo())
        .start()
        .await;
    let began = Instant::now();
    assert_eq!(site.get("/hold").await.status, 504);
    assert!(began.elapsed() >= Duration::from_millis(490), "{:?}", began.elapsed());
    let mut client = site.connect(Http::H1).await;
    let held = tokio::spawn(async move { client.get("/hold/long").await });
    // Longer than the upstream allows.
    tokio::time::sleep(Duration::from_millis(400)).await;
    site.origin(0).release();
    assert_eq!(held.await.expect("a client that does not panic").status, 200);
}

#[tokio::test]
async fn a_body_that_a_plugin_waits_for_has_no_more_time_than_its_exchange() {
    let whole = json!({ "request": { "edit": "read", "buffer": 1_000 } });
    let site = Site::new()
        .plugin("a", "reshape", whole)
        .chain(&["a"])
        .set("upstream.web.total_timeout", "400ms")
        .origin(Origin::echo())
        .start()
        .await;
    for http in Http::ALL {
        // Always progress, and no end.
        let (feed, body) = Body::fed(Some(1_000));
        let drips = tokio::spawn(async move {
            while feed.send(vec![7]).await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let began = Instant::now();
        let request = Request::post("/").body(body).expect("a request");
        let reply = site.connect(http).await.send(request).await.expect("an answer");
        assert_eq!(reply.status, 408, "{http:?}");
        assert!(began.elapsed() >= Duration::from_millis(390), "{http:?}: {:?}", began.elapsed());
        drips.abort();
    }
    assert_eq!(site.origin(0).seen().len(), 0);
    site.idle().await;
}
