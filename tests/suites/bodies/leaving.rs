//! Clients that leave half way: what they had asked for stops, and nothing of it stays.

use harness::{Body, Http, Origin, Running, Site, eventually};
use http::Request;
use http_body_util::BodyExt;
use serde_json::json;

#[tokio::test]
async fn a_client_that_leaves_during_its_upload_is_let_go() {
    for http in Http::ALL {
        let site = site().await;
        let (feed, body) = Body::fed(Some(1_000_000));
        let mut client = site.connect(http).await;
        let asking = tokio::spawn(async move { client.send(Request::post("/").body(body).expect("a request")).await });
        assert!(feed.send(vec![7; 1_000]).await);
        under_way(&site).await;
        asking.abort();
        let_go(&site, http).await;
        assert_eq!(site.origin(0).seen()[0].body_bytes, None, "a body that broke off looks whole over {http:?}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_its_answer_is_let_go() {
    for http in Http::ALL {
        let site = site().await;
        let mut client = site.connect(http).await;
        let asking = tokio::spawn(async move { client.get("/hold").await });
        under_way(&site).await;
        asking.abort();
        let_go(&site, http).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_during_its_download_is_let_go() {
    for http in Http::ALL {
        let site = site().await;
        let mut client = site.connect(http).await;
        let request = Request::get("/hold-body/100000").body(Body::empty()).expect("a request");
        let mut response = client.open(request).await.expect("a head");
        assert!(response.body_mut().frame().await.is_some());
        under_way(&site).await;
        drop((response, client));
        let_go(&site, http).await;
    }
}

#[tokio::test]
async fn a_stream_that_is_reset_leaves_the_others_of_its_connection_alone() {
    let site = site().await;
    let client = site.connect(Http::H2).await;
    let (mut one, mut two) = (client.another(), client.another());
    let asking = tokio::spawn(async move { one.get("/hold").await });
    let staying = tokio::spawn(async move { two.get("/hold").await });
    eventually("both are under way", async || site.origin(0).connections() == 2).await;
    asking.abort();
    eventually("one endpoint's connection is closed", async || site.origin(0).connections() == 1).await;
    site.origin(0).release();
    assert_eq!(staying.await.expect("a client that does not panic").status, 200);
    site.idle().await;
    assert_eq!(endings(&site, "client-gone").await, 1.0);
    assert_eq!(endings(&site, "complete").await, 1.0);
}

/// With a plugin, whose lease is to be given back.
async fn site() -> Running {
    Site::new().plugin("tag", "tag", json!({ "name": "a" })).chain(&["tag"]).origin(Origin::echo()).start().await
}

async fn under_way(site: &Running) {
    eventually("the origin has the request and the host holds the plugin", async || {
        let leases = site.admin().metrics().await.sum("palisade_plugin_leases", &[("plugin", "tag")]);
        site.origin(0).seen().len() == 1 && site.origin(0).connections() == 1 && leases > 0.5
    })
    .await;
}

/// The endpoint sees the end, and the host holds neither a connection nor the plugin.
async fn let_go(site: &Running, http: Http) {
    eventually("the endpoint's connection is closed", async || site.origin(0).connections() == 0).await;
    site.idle().await;
    eventually("the host has closed its side", async || {
        site.admin().metrics().await.sum("palisade_upstream_connections", &[]) == 0.0
    })
    .await;
    assert_eq!(endings(site, "client-gone").await, 1.0, "{http:?}");
    let leases = site.admin().plugin("tag").await.json()["leases"].clone();
    assert_eq!(leases, json!(0), "{http:?}");
}

async fn endings(site: &Running, ending: &str) -> f64 {
    site.admin().metrics().await.sum("palisade_endings_total", &[("ending", ending)])
}
