//! Clients as people have them: curl, h2load and wrk against the host's own program, through all three plugins.

use harness::{Ended, Metrics, Running, Site, eventually, run_command};
use serde_json::json;

use crate::endpoint::quick;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_is_answered_over_both_versions_of_http() {
    let site = site().await;
    for (arguments, path, printed) in [
        (&["--http1.1"][..], "/", "ok 200 1.1"),
        (&["--http2"], "/", "ok 200 2"),
        (&["--http1.1", "--head"], "/", " 200 1.1"),
        (&["--http2", "--head"], "/", " 200 2"),
        (&["--http1.1"], "/admin/x", "forbidden\n 403 1.1"),
        (&["--http2"], "/admin/x", "forbidden\n 403 2"),
        (&["--tls-max", "1.2"], "/", "ok 200 2"),
        (&["--http1.0"], "/", "ok 200 1"),
    ] {
        let ended = site.curl(&[&["--write-out", " %{http_code} %{http_version}"], arguments].concat(), path).await;
        assert!(ended.stdout.ends_with(printed), "{arguments:?} {path}: {:?} {}", ended.stdout, ended.stderr);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{arguments:?} {path}");
    }
    assert_eq!(firewall(&site.admin().metrics().await), 2.0);
}

const REQUESTS: u32 = 20_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2load_has_no_failed_request_and_every_counter_agrees() {
    let site = site().await;
    let url = format!("https://{}/", site.address("public"));
    let count = REQUESTS.to_string();
    let ended = run(&site, "h2load", &["-n", &count, "-c", "32", "-m", "16", &url]).await;
    let line =
        format!("requests: {REQUESTS} total, {REQUESTS} started, {REQUESTS} done, {REQUESTS} succeeded, 0 failed");
    assert!(ended.stdout.contains(&line), "{}", ended.stdout);
    assert!(ended.stdout.contains(&format!("status codes: {REQUESTS} 2xx, 0 3xx, 0 4xx, 0 5xx")), "{}", ended.stdout);
    let all = f64::from(REQUESTS);
    eventually("every counter agrees", async || {
        let metrics = site.admin().metrics().await;
        let listener = [("listener", "public")];
        [
            metrics.sum("palisade_requests_total", &[("listener", "public"), ("protocol", "h2"), ("class", "2xx")]),
            metrics.sum("palisade_requests_total", &listener),
            metrics.sum("palisade_endings_total", &[("ending", "complete")]),
            metrics.sum("palisade_upstream_requests_total", &[]),
            metrics.sum("palisade_qps_requests_total", &[("class", "2xx")]),
            metrics.sum("palisade_qps_requests_total", &[]),
            metrics.sum("palisade_plugin_calls_total", &[("plugin", "firewall"), ("phase", "request-filter")]),
            metrics.sum("palisade_plugin_calls_total", &[("plugin", "balance"), ("phase", "balancer")]),
            metrics.sum("palisade_request_duration_seconds_count", &listener),
        ]
        .iter()
        .all(|figure| figure.total_cmp(&all).is_eq())
    })
    .await;
    let metrics = site.admin().metrics().await;
    assert_eq!(metrics.sum("palisade_plugin_failures_total", &[]), 0.0);
    assert_eq!(metrics.sum("palisade_upstream_failures_total", &[]), 0.0);
    assert_eq!(metrics.sum("palisade_connections_total", &[("listener", "public")]), 32.0);
    at_rest(&site).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrk_has_no_error_for_ten_seconds() {
    let site = site().await;
    let url = format!("https://{}/", site.address("public"));
    let ended = run(&site, "wrk", &["-t", "2", "-c", "64", "-d", "10s", "--timeout", "10s", &url]).await;
    // Both lines are there only where there is something to say.
    assert!(!ended.stdout.contains("Socket errors") && !ended.stdout.contains("Non-2xx"), "{}", ended.stdout);
    let words: Vec<&str> = ended.stdout.split_whitespace().collect();
    let place = words.iter().position(|word| *word == "requests").expect("a number of requests");
    let finished: f64 = words.get(place.wrapping_sub(1)).and_then(|word| word.parse().ok()).expect("a number");
    at_rest(&site).await;
    let metrics = site.admin().metrics().await;
    let complete = metrics.sum("palisade_endings_total", &[("ending", "complete")]);
    // Each connection may have one more whose answer wrk did not wait for.
    assert!(finished > 0.0 && complete >= finished && complete <= finished + 64.0, "{complete} of {finished}");
    assert_eq!(metrics.sum("palisade_qps_requests_total", &[("class", "2xx")]), complete);
    assert_eq!(metrics.sum("palisade_upstream_failures_total", &[]), 0.0);
}

/// The host's program with two workers, two endpoints and the three plugins, each with something to do.
async fn site() -> Running {
    let rules = json!([
        { "name": "admin", "action": "deny", "when": { "path_prefix": "/admin" } },
        { "name": "trace", "action": "deny", "when": { "methods": ["TRACE"] } },
    ]);
    let endpoints = [quick().await, quick().await].map(|address| address.to_string());
    let site = Site::new()
        .set("workers", 2)
        .set("log.access", false)
        .plugin("firewall", "firewall", json!({ "deny": ["203.0.113.0/24", "2001:db8::/32"], "rules": rules }))
        .plugin("balance", "balance", json!({ "algorithm": "least_request" }))
        .plugin("qps", "qps", json!({}))
        .chain(&["firewall", "balance", "qps"])
        .set("upstream.web.endpoints", json!(endpoints))
        .start_process()
        .await;
    for plugin in ["firewall", "balance", "qps"] {
        let figures = site.admin().plugin(plugin).await;
        assert_eq!(figures.state(), "running", "{plugin}: {}", figures.last_error());
    }
    site
}

async fn run(site: &Running, program: &str, arguments: &[&str]) -> Ended {
    let ended = run_command(program, arguments, site.folder().path()).await;
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    ended
}

/// Nothing is under way any more, by the host's count and by the plugin's.
async fn at_rest(site: &Running) {
    site.idle().await;
    eventually("no request is in flight", async || {
        let metrics = site.admin().metrics().await;
        metrics.sum("palisade_qps_in_flight", &[]) == 0.0
    })
    .await;
}

fn firewall(metrics: &Metrics) -> f64 {
    metrics.sum("palisade_firewall_matched_total", &[("rule", "admin")])
}
