//! Connections over HTTP/2 are shared: by as many as may, and none suffers by another.

use harness::{Body, Http, Origin, Reply, Running, eventually};
use http::Request;
use tokio::task::JoinHandle;

use super::{connections, described, failures, over_http2};

/// So many requests that wait for the origin, on one connection of a client.
async fn held(site: &Running, count: usize) -> Vec<JoinHandle<Reply>> {
    let client = site.connect(Http::H2).await;
    let ask = |_| {
        let mut client = client.another();
        tokio::spawn(async move { client.get("/hold").await })
    };
    let asked = (0..count).map(ask).collect();
    eventually("all of them arrive", async || site.origin(0).seen().len() == count).await;
    asked
}

async fn released(site: &Running, asked: Vec<JoinHandle<Reply>>) {
    site.origin(0).release();
    for reply in asked {
        assert_eq!(reply.await.expect("a client that does not panic").status, 200);
    }
    site.idle().await;
}

#[tokio::test]
async fn requests_share_a_connection_up_to_the_streams_of_the_upstream() {
    let site = described(Origin::echo_over_http2(250)).set("upstream.web.streams", 4).start().await;
    let asked = held(&site, 10).await;
    assert_eq!((site.origin(0).connections(), connections(&site).await), (3, 3));
    released(&site, asked).await;
    for _ in 0..20 {
        assert_eq!(site.get("/").await.status, 200);
    }
    assert_eq!(site.origin(0).accepted(), 3);
    assert_eq!(failures(&site, "reset").await, 0);
}

#[tokio::test]
async fn requests_share_a_connection_up_to_the_streams_of_the_endpoint() {
    let site = over_http2(Origin::echo_over_http2(2)).await;
    let asked = held(&site, 7).await;
    assert_eq!(site.origin(0).connections(), 4);
    released(&site, asked).await;
    // What it said once is known of the next connection.
    assert_eq!(failures(&site, "reset").await, 0);
}

#[tokio::test]
async fn no_more_connections_are_made_than_may_be() {
    let site = described(Origin::echo_over_http2(250)).set("upstream.web.streams", 2);
    let site = site.set("upstream.web.connections", 2).start().await;
    let asked = held(&site, 4).await;
    assert_eq!(site.get("/").await.status, 503);
    assert_eq!(failures(&site, "limit").await, 1);
    released(&site, asked).await;
    assert_eq!(site.get("/").await.status, 200);
}

#[tokio::test]
async fn connections_that_nobody_uses_are_closed() {
    for (key, value) in [("idle_timeout", serde_json::json!("300ms")), ("idle_connections", serde_json::json!(0))] {
        let site = described(Origin::echo_over_http2(250)).set(&format!("upstream.web.{key}"), value).start().await;
        assert_eq!(site.get("/").await.status, 200);
        eventually("it is closed", async || site.origin(0).connections() == 0).await;
        eventually("it is counted", async || connections(&site).await == 0).await;
        assert_eq!(site.get("/").await.status, 200, "{key}");
        assert_eq!(site.origin(0).accepted(), 2, "{key}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_own_stream_alone() {
    let site = over_http2(Origin::echo_over_http2(250)).await;
    let asked = held(&site, 2).await;
    let mut asked = asked.into_iter();
    asked.next().expect("one of two").abort();
    let (feed, body) = Body::fed(Some(1_000_000));
    let mut client = site.connect(Http::H1).await;
    let uploading = tokio::spawn(async move { client.send(Request::post("/").body(body).expect("a request")).await });
    assert!(feed.send(vec![7; 1_000]).await);
    eventually("its head is there", async || site.origin(0).seen().len() == 3).await;
    uploading.abort();
    eventually("two have left", async || {
        site.admin().metrics().await.count("palisade_endings_total", &[("ending", "client-gone")]) == 2
    })
    .await;
    assert_eq!((site.origin(0).connections(), connections(&site).await), (1, 1));
    assert_eq!(site.origin(0).seen()[2].body_bytes, None, "a body that broke off looks whole");
    released(&site, asked.collect()).await;
    assert_eq!((site.origin(0).accepted(), connections(&site).await), (1, 1));
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_nobody_else() {
    let site = over_http2(Origin::echo_over_http2(250)).await;
    let mut unread = Vec::new();
    for _ in 0..40 {
        let mut client = site.connect(Http::H2).await;
        let request = Request::get("/bytes/50000000").body(Body::empty()).expect("a request");
        let response = client.open(request).await.expect("a head");
        unread.push((client, response));
    }
    for http in Http::ALL {
        assert_eq!(site.connect(http).await.get("/bytes/3000000").await.body.len(), 3_000_000, "{http:?}");
    }
    assert_eq!(site.origin(0).accepted(), 1);
}

#[tokio::test]
async fn a_connection_that_does_not_answer_is_given_to_nobody_else() {
    let site = described(Origin::echo_over_http2(250)).set("upstream.web.response_timeout", "300ms").start().await;
    assert_eq!(site.get("/").await.status, 200);
    assert_eq!(site.get("/hold").await.status, 504);
    assert_eq!(site.get("/").await.status, 200);
    assert_eq!(site.origin(0).accepted(), 2);
    eventually("the first one is closed", async || site.origin(0).connections() == 1).await;
}
