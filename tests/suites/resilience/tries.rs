//! How long one try may take that can be followed by another one.

use std::time::{Duration, Instant};

use harness::{Answer, Http, Origin, Running, Site};
use serde_json::{Value, json};

use super::{ask, counted};

/// A host before endpoints that take longer than one try may.
async fn before(late: usize, budget: Value) -> Running {
    let retries = json!({ "on": ["timeout"], "per_try_timeout": "100ms", "budget": budget });
    let site = Site::new().set("upstream.web.ejection", false).set("upstream.web.retries", retries);
    let origin = || Origin::answering(|_| Answer::body("late").after(Duration::from_millis(400)));
    (0..late).fold(site, |site, _| site.origin(origin())).start().await
}

fn asked(site: &Running, endpoints: usize) -> usize {
    (0..endpoints).map(|index| site.origin(index).seen().len()).sum()
}

#[tokio::test]
async fn a_try_that_nothing_can_follow_has_the_time_that_answers_have() {
    // There is no other endpoint.
    let site = before(1, json!({ "percent": 100, "minimum": 100 })).await;
    for http in Http::ALL {
        let began = Instant::now();
        assert_eq!(ask(&site, http, "GET", "").await.text(), "late", "{http:?}");
        assert!(began.elapsed() >= Duration::from_millis(390), "{http:?}: {:?}", began.elapsed());
    }
    assert_eq!(asked(&site, 1), 3);
    // There is no budget.
    let site = before(3, json!({ "percent": 0, "minimum": 0 })).await;
    for number in 1..=4 {
        assert_eq!(ask(&site, Http::H1, "GET", "").await.text(), "late");
        assert_eq!(asked(&site, 3), number);
    }
    assert_eq!(counted(&site, "palisade_upstream_retry_budget_exhausted_total", &[]).await, 4);
    assert_eq!(counted(&site, "palisade_upstream_retries_total", &[]).await, 0);
}

#[tokio::test]
async fn all_but_the_last_try_are_given_up_in_time() {
    let site = before(3, json!({ "percent": 100, "minimum": 100 })).await;
    let began = Instant::now();
    assert_eq!(ask(&site, Http::H2, "GET", "").await.text(), "late");
    // Two are given up after 100 ms each, and the third has no other after it.
    assert!(began.elapsed() >= Duration::from_millis(590), "{:?}", began.elapsed());
    assert_eq!(asked(&site, 3), 3);
    assert_eq!(counted(&site, "palisade_upstream_retries_total", &[("reason", "timeout")]).await, 2);
}
