//! All three in one chain, as the quickstart has them.

use harness::{Answer, Http, Origin, Site};
use serde_json::json;

#[tokio::test]
async fn what_is_denied_reaches_no_origin_and_is_counted_all_the_same() {
    let rules = json!([{ "name": "admin", "action": "deny", "when": { "path_prefix": "/admin" } }]);
    let site = Site::new().plugin("wall", "firewall", json!({ "rules": rules }));
    let site = site.plugin("lb", "balance", json!({})).plugin("qps", "qps", json!({}));
    let site = site.chain(&["wall", "lb", "qps"]).set("workers", 2);
    let named = |name: &'static str| Origin::answering(move |_| Answer::body(name));
    let site = site.origin(named("a")).origin(named("b")).start().await;
    for http in Http::ALL {
        let mut client = site.connect(http).await;
        for request in 0..30 {
            let path = if request % 3 == 0 { "/admin/x" } else { "/" };
            assert_eq!(client.get(path).await.status, if request % 3 == 0 { 403 } else { 200 }, "{http:?}");
        }
    }
    let (a, b) = (site.origin(0).seen(), site.origin(1).seen());
    assert_eq!((a.len(), b.len()), (30, 30));
    assert!(a.iter().chain(&b).all(|seen| seen.target == "/"));
    let metrics = site.admin().metrics().await;
    assert_eq!(metrics.count("palisade_qps_requests_total", &[("class", "2xx")]), 60);
    assert_eq!(metrics.count("palisade_qps_requests_total", &[("class", "4xx")]), 30);
    assert_eq!(metrics.count("palisade_firewall_denied_total", &[("rule", "admin")]), 30);
    site.idle().await;
}
