//! Connections to endpoints: how old they become, and how many are there before anybody asks.

use std::time::Duration;

use harness::{Http, Origin, Site, eventually};
use serde_json::json;

use crate::endpoint::serving;

#[tokio::test]
async fn a_connection_gets_no_more_requests_when_it_is_old() {
    for (protocol, origin) in [("h1", Origin::echo()), ("h2", Origin::echo_over_http2(250))] {
        let site = Site::new().set("upstream.web.protocol", protocol).set("upstream.web.connection_age", "1s");
        let site = site.origin(origin).start().await;
        let mut client = site.connect(Http::H2).await;
        eventually("another one was made", async || {
            assert_eq!(client.get("/").await.status, 200, "{protocol}");
            site.origin(0).accepted() == 3
        })
        .await;
        eventually("the old ones are closed", async || site.origin(0).connections() <= 1).await;
        assert!(site.origin(0).seen().len() > 3, "{protocol}");
    }
}

#[tokio::test]
async fn connections_are_there_before_anybody_asks() {
    for (protocol, origin) in [("h1", Origin::echo()), ("h2", Origin::echo_over_http2(250))] {
        let site = Site::new().set("upstream.web.protocol", protocol).set("upstream.web.warm_connections", 3);
        let site = site.origin(origin).start().await;
        eventually("they are made", async || site.origin(0).connections() == 3).await;
        for _ in 0..20 {
            assert_eq!(site.get("/").await.status, 200, "{protocol}");
        }
        assert_eq!(site.origin(0).accepted(), 3, "{protocol}");
    }
}

#[tokio::test]
async fn connections_that_an_endpoint_closes_are_made_anew() {
    let (made, mut count) = tokio::sync::watch::channel(0);
    let address = serving(move |stream| {
        made.send_modify(|made| *made += 1);
        async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            drop(stream);
        }
    })
    .await;
    let upstream = json!({ "endpoints": [address.to_string()], "warm_connections": 2 });
    let _site = Site::new().set("upstream.web", upstream).start().await;
    let made = tokio::time::timeout(harness::LIMIT, count.wait_for(|made| *made >= 6)).await;
    assert!(made.is_ok(), "within seconds");
}
