//! Guests that make more of something than anyone wants: log lines, series.

use harness::{Http, Origin, Site};
use serde_json::json;

/// Lines that a plugin may log in one second.
const LINES_PER_SECOND: usize = 100;

#[tokio::test]
async fn a_plugin_that_floods_the_log_is_cut_and_the_rest_is_counted() {
    let site = Site::new().plugin("chatty", "logs", json!({})).chain(&["chatty"]).origin(Origin::echo());
    let mut site = site.start_process().await;
    assert_eq!(site.get("/").await.status, 200);
    let figures = site.admin().plugin("chatty").await;
    let dropped = figures.json()["log_lines_dropped"].as_u64().unwrap();
    let log = site.process().log();
    let written = log.lines().filter(|line| line.contains("\"plugin\":\"chatty\"") && line.contains("line ")).count();
    assert_eq!(usize::try_from(dropped).unwrap() + written, 100_000);
    assert!((1..=30 * LINES_PER_SECOND).contains(&written), "{written} lines");
}

#[tokio::test]
async fn series_beyond_the_limit_are_one_series_and_counted() {
    let site = Site::new().plugin("counts", "counts", json!({})).chain(&["counts"]).origin(Origin::echo());
    let site = site.set("plugin.counts.limits.series", 10).start().await;
    let mut client = site.connect(Http::H2).await;
    for number in 0..50 {
        client.get(&format!("/path-{number}")).await;
    }
    let metrics = site.admin().metrics().await;
    let (name, all) = ("palisade_counts_requests_total", [("plugin", "counts")]);
    assert_eq!((metrics.series(name, &all), metrics.count(name, &all)), (11, 50));
    assert_eq!(metrics.count(name, &[("path", "other")]), 40);
    assert_ne!(site.admin().plugin("counts").await.json()["series_overflows"], 0);
}
