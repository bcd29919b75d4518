//! The counters: they agree with what was sent, and what is under way comes back to nothing.

use harness::{Body, Http, Origin, Running, Site, eventually};
use http::Request;
use serde_json::json;

async fn site() -> Running {
    let site = Site::new().plugin("qps", "qps", json!({})).chain(&["qps"]).origin(Origin::echo());
    let site = site.route(json!({ "name": "api", "path": "/api" })).route(json!({ "name": "rest" }));
    // The same routes under the same names are not allowed twice.
    site.set("listener.plain", json!(null)).start().await
}

#[tokio::test]
async fn requests_classes_and_bytes_agree_with_what_was_sent() {
    let site = site().await;
    for http in [Http::H1, Http::H2] {
        let mut client = site.connect(http).await;
        for _ in 0..50 {
            client.post("/api/x", vec![b'x'; 10]).await;
            client.get("/status/404").await;
            client.get("/status/503").await;
            client.get("/bytes/1000").await;
        }
    }
    let metrics = site.admin().metrics().await;
    let requests = |route, class| metrics.count("palisade_qps_requests_total", &[("route", route), ("class", class)]);
    assert_eq!([requests("api", "2xx"), requests("rest", "2xx")], [100, 100]);
    assert_eq!([requests("rest", "4xx"), requests("rest", "5xx"), requests("api", "5xx")], [100, 100, 0]);
    let sum = |name, labels| metrics.count(name, &[("plugin", "qps"), labels]);
    assert_eq!(sum("palisade_qps_requests_total", ("listener", "public")), 400);
    assert_eq!(sum("palisade_qps_request_bytes_total", ("route", "api")), 1_000);
    assert_eq!(sum("palisade_qps_response_bytes_total", ("route", "rest")), 100_000);
    assert_eq!(sum("palisade_qps_duration_seconds_count", ("upstream", "web")), 400);
    assert_eq!(sum("palisade_qps_in_flight", ("listener", "public")), 0);
    assert_eq!(metrics.count("palisade_requests_total", &[]), 400, "the host's own counter");
}

#[tokio::test]
async fn what_is_under_way_is_counted_until_it_ends_however_it_ends() {
    let site = site().await;
    let in_flight = async |count: u64| {
        eventually(&format!("{count} are under way"), async || {
            site.admin().metrics().await.count("palisade_qps_in_flight", &[("route", "rest")]) == count
        })
        .await;
    };
    let client = site.connect(Http::H2).await;
    let hold = |mut stream: harness::Client| tokio::spawn(async move { stream.get("/hold").await.status });
    let mut ends_well = hold(client.another());
    let leaves = hold(client.another());
    let closes = hold(site.connect(Http::H1).await);
    in_flight(3).await;
    leaves.abort();
    in_flight(2).await;
    closes.abort();
    in_flight(1).await;
    site.origin(0).release();
    assert_eq!((&mut ends_well).await.unwrap(), 200);
    in_flight(0).await;
    let metrics = site.admin().metrics().await;
    let endings = |ending| metrics.count("palisade_qps_endings_total", &[("ending", ending)]);
    assert_eq!((endings("complete"), endings("client_gone")), (1, 2));
}

#[tokio::test]
async fn a_truncated_answer_is_counted_as_one() {
    let site = site().await;
    for http in [Http::H1, Http::H2] {
        let request = Request::get("/cut/1000").body(Body::empty()).unwrap();
        assert!(site.connect(http).await.send(request).await.is_err());
    }
    site.idle().await;
    assert_eq!(site.admin().metrics().await.count("palisade_qps_endings_total", &[("ending", "truncated")]), 2);
}
