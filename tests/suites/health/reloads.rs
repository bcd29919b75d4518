//! Endpoints that come, go and stay when the configuration changes.

use harness::{Http, Origin, Running, Site};
use serde_json::json;

use super::{Moody, becomes, endpoint};

/// Has the upstream's endpoints be these from now on.
async fn replaced(site: &Running, endpoints: &[String]) {
    let config = site.folder().path().join("palisade.toml");
    let text = std::fs::read_to_string(&config).expect("a config");
    let lines = text.lines().map(|line| match line.starts_with("endpoints = ") {
        true => format!("endpoints = {endpoints:?}"),
        false => line.to_owned(),
    });
    std::fs::write(&config, lines.collect::<Vec<_>>().join("\n")).expect("a config");
    assert_eq!(site.admin().reload().await.0, 200);
}

#[tokio::test]
async fn what_is_known_of_an_endpoint_stays_and_a_newcomer_is_checked_first() {
    let ((one, first), (_other, second)) = (Moody::new("one"), Moody::new("other"));
    let health = json!({ "check": "http", "path": "/healthz", "interval": "200ms", "jitter": "0ms" });
    let site = Site::new().set("upstream.web.health", health).origin(first).origin(second).start().await;
    one.answers(500);
    let since = becomes(&site, 0, "unhealthy").await["since"].clone();
    let third = Origin::echo();
    let addresses = [0, 1].map(|index| site.origin(index).address().to_string());
    let three = [addresses.to_vec(), vec![third.address().to_string()]].concat();
    replaced(&site, &three).await;
    let seen = endpoint(&site, 0).await;
    assert_eq!((seen["state"].as_str(), &seen["since"]), (Some("unhealthy"), &since));
    // The reload has waited for its first check.
    assert_eq!(endpoint(&site, 2).await["state"], "healthy");
    assert!(third.seen().iter().any(|seen| seen.target == "/healthz"));
}

#[tokio::test]
async fn who_joins_a_group_at_work_begins_slowly_and_the_others_do_not_begin_again() {
    let ((_, first), (_, second)) = (Moody::new("one"), Moody::new("other"));
    let second_address = second.address().to_string();
    let site = Site::new().set("upstream.web.slow_start", "1h").origin(first).start().await;
    replaced(&site, &[site.origin(0).address().to_string(), second_address]).await;
    let shares = [endpoint(&site, 0).await["share"].clone(), endpoint(&site, 1).await["share"].clone()];
    assert_eq!(shares.first(), Some(&json!(1.0)));
    assert!(shares.get(1).and_then(|share| share.as_f64()).is_some_and(|share| share < 0.2), "{shares:?}");
    let mut client = site.connect(Http::H1).await;
    assert_eq!(client.get("/").await.status, 200);
    drop(second);
}
