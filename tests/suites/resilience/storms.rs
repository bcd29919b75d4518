//! Upstreams that only fail, and clients that only ask: what the upstream gets is bounded.

use harness::{Answer, Http, Origin, Site};
use serde_json::json;

use super::counted;

const REQUESTS: usize = 1_000;

#[tokio::test]
async fn an_upstream_that_only_fails_gets_no_more_than_its_budget_allows() {
    for (percent, budget) in [(20, 200), (0, 0), (100, 1_000)] {
        let bad = || Origin::answering(|_| Answer::status(503));
        let retries = json!({
            "on": ["503"], "attempts": 5, "same_endpoint": true, "backoff": "1ms", "backoff_max": "1ms",
            "budget": { "percent": percent, "minimum": 0 },
        });
        let site = Site::new()
            .set("workers", 2)
            .set("upstream.web.ejection", false)
            .set("upstream.web.retries", retries)
            .origin(bad())
            .origin(bad());
        let site = site.start().await;
        let client = site.connect(Http::H2).await;
        let clients = (0..20).map(|_| {
            let mut client = client.another();
            tokio::spawn(async move {
                for _ in 0..REQUESTS / 20 {
                    assert_eq!(client.get("/").await.status, 503);
                }
            })
        });
        for client in clients.collect::<Vec<_>>() {
            client.await.expect("a client that does not panic");
        }
        let seen = site.origin(0).seen().len() + site.origin(1).seen().len();
        assert!(seen <= REQUESTS + budget, "{percent} %: {seen}");
        let retried = counted(&site, "palisade_upstream_retries_total", &[("reason", "status")]).await;
        assert_eq!(retried, (seen - REQUESTS) as u64, "{percent} %");
        // It is used up, or nearly: what a worker has not told yet is no more than a few.
        assert!(retried + 64 >= budget as u64, "{percent} %: {retried}");
        assert!(counted(&site, "palisade_upstream_retry_budget_exhausted_total", &[]).await > 0, "{percent} %");
    }
}

#[tokio::test]
async fn a_few_are_sent_again_however_little_is_asked() {
    let bad = || Origin::answering(|_| Answer::status(503));
    let retries = json!({ "on": ["503"], "budget": { "percent": 0, "minimum": 1 } });
    let site = Site::new()
        .set("upstream.web.ejection", false)
        .set("upstream.web.retries", retries)
        .origin(bad())
        .origin(bad())
        .start()
        .await;
    let mut client = site.connect(Http::H1).await;
    for _ in 0..30 {
        assert_eq!(client.get("/").await.status, 503);
    }
    let seen = site.origin(0).seen().len() + site.origin(1).seen().len();
    // Ten of ten seconds, and as many of each ten that may have begun meanwhile.
    assert!((40..=60).contains(&seen), "{seen}");
}
