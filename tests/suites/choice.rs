//! Which endpoint is asked: by the host itself, by levels, backups and zones, and with each algorithm of the balancer.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use harness::{Answer, Http, Origin, Running, Site, eventually};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

fn named(name: &'static str) -> Origin {
    Origin::answering(move |_| Answer::body(name))
}

/// An endpoint that can be stopped and comes back to its address.
struct Endpoint {
    name: &'static str,
    address: SocketAddr,
    task: Option<JoinHandle<()>>,
}

impl Endpoint {
    async fn start(name: &'static str) -> Self {
        // An address of its own, so that nobody takes the port meanwhile.
        let mut endpoint = Self { name, address: SocketAddr::from((Ipv4Addr::new(127, 0, 7, 7), 0)), task: None };
        endpoint.up().await;
        endpoint
    }

    async fn up(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("the endpoint's address");
        self.address = listener.local_addr().expect("an address");
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}", self.name.len(), self.name);
        self.task = Some(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let answer = answer.clone();
                connections.spawn(async move {
                    let mut head = Vec::new();
                    while stream.read_buf(&mut head).await.is_ok_and(|read| read > 0) {
                        if head.ends_with(b"\r\n\r\n") {
                            head.clear();
                            let _ = stream.write_all(answer.as_bytes()).await;
                        }
                    }
                });
            }
        }));
    }

    /// Its connections are closed, and new ones are refused.
    async fn down(&mut self, site: &Running) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
        let labels = [("endpoint", &*self.address.to_string())].map(|(key, value)| (key, value.to_owned()));
        eventually("the host has seen its connections end", async || {
            let labels = labels.each_ref().map(|(key, value)| (*key, value.as_str()));
            site.admin().metrics().await.count("palisade_upstream_connections", &labels) == 0
        })
        .await;
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Who answers so many requests, in order.
async fn answers(site: &Running, count: usize) -> String {
    let mut client = site.connect(Http::H1).await;
    let mut answers = String::new();
    for _ in 0..count {
        let reply = client.get("/").await;
        assert_eq!(reply.status, 200);
        answers += reply.text();
    }
    answers
}

/// A site without a balancer plugin, and one for each algorithm. What comes of requests is not held against an endpoint: each
/// request finds out for itself.
fn ways(endpoints: &Value) -> Vec<(String, Site)> {
    let of = |site: Site| site.set("upstream.web.ejection", false).set("upstream.web.endpoints", endpoints.clone());
    let plain = of(Site::new());
    let mut ways = vec![("the host".to_owned(), plain)];
    let algorithms =
        ["weighted_round_robin", "random", "least_request", "peak_ewma", "maglev", "ring_hash", "sticky_cookie"];
    for algorithm in algorithms {
        let settings = if algorithm == "sticky_cookie" {
            json!({ "algorithm": algorithm, "cookie": { "name": "node", "secret": "0123456789abcdef" } })
        } else {
            json!({ "algorithm": algorithm })
        };
        let site = Site::new().plugin("lb", "balance", settings).chain(&["lb"]);
        ways.push((algorithm.to_owned(), of(site)));
    }
    ways
}

#[tokio::test]
async fn a_backup_answers_while_the_others_are_down_and_no_longer() {
    let mut main = Endpoint::start("m").await;
    let backup = named("b");
    let endpoints =
        json!([{ "address": backup.address().to_string(), "backup": true }, { "address": main.address.to_string() }]);
    for (way, site) in ways(&endpoints) {
        let site = site.start().await;
        assert_eq!(answers(&site, 8).await, "m".repeat(8), "{way}");
        main.down(&site).await;
        assert_eq!(answers(&site, 8).await, "b".repeat(8), "{way}");
        main.up().await;
        assert_eq!(answers(&site, 8).await, "m".repeat(8), "{way}");
        site.shut_down().await;
    }
}

#[tokio::test]
async fn what_checks_find_down_is_stood_in_for_by_its_backup_and_comes_back() {
    let mut main = Endpoint::start("m").await;
    let backup = named("b");
    let endpoints =
        json!([{ "address": backup.address().to_string(), "backup": true }, { "address": main.address.to_string() }]);
    for (way, site) in ways(&endpoints) {
        let check = json!({ "check": "tcp", "interval": "100ms", "fall": 1, "rise": 1 });
        let site = site.set("upstream.web.health", check).start().await;
        assert_eq!(answers(&site, 8).await, "m".repeat(8), "{way}");
        main.down(&site).await;
        assert_eq!(answers(&site, 8).await, "b".repeat(8), "{way}");
        let failures = async || {
            let labels =
                [("endpoint", &*main.address.to_string()), ("reason", "connect")].map(|(k, v)| (k, v.to_owned()));
            let labels = labels.each_ref().map(|(key, value)| (*key, value.as_str()));
            site.admin().metrics().await.count("palisade_upstream_failures_total", &labels)
        };
        eventually("no request tries it any more", async || {
            let before = failures().await;
            answers(&site, 8).await == "b".repeat(8) && failures().await == before
        })
        .await;
        main.up().await;
        eventually("it is asked again", async || answers(&site, 8).await == "m".repeat(8)).await;
        site.shut_down().await;
    }
}

#[tokio::test]
async fn levels_are_asked_in_their_order() {
    let mut first = Endpoint::start("1").await;
    let mut second = Endpoint::start("2").await;
    let third = named("3");
    let endpoints = json!([
        { "address": third.address().to_string(), "priority": 9 },
        { "address": second.address.to_string(), "priority": 1 },
        first.address.to_string(),
    ]);
    for (way, site) in ways(&endpoints) {
        let site = site.start().await;
        assert_eq!(answers(&site, 5).await, "11111", "{way}");
        first.down(&site).await;
        assert_eq!(answers(&site, 5).await, "22222", "{way}");
        second.down(&site).await;
        assert_eq!(answers(&site, 5).await, "33333", "{way}");
        second.up().await;
        assert_eq!(answers(&site, 5).await, "22222", "{way}");
        first.up().await;
        assert_eq!(answers(&site, 5).await, "11111", "{way}");
        site.shut_down().await;
    }
}

#[tokio::test]
async fn a_host_prefers_its_own_zone_and_leaves_it_when_nobody_is_there() {
    let mut near = Endpoint::start("n").await;
    let far = named("f");
    let endpoints = json!([
        { "address": far.address().to_string(), "zone": "a", "weight": 100 },
        { "address": near.address.to_string(), "zone": "b" },
    ]);
    for (way, site) in ways(&endpoints) {
        let site = if way == "the host" { site.set("zone", "b") } else { site.set("plugin.lb.settings.zone", "b") };
        let site = site.start().await;
        assert_eq!(answers(&site, 8).await, "n".repeat(8), "{way}");
        near.down(&site).await;
        assert_eq!(answers(&site, 8).await, "f".repeat(8), "{way}");
        near.up().await;
        site.shut_down().await;
    }
}

#[tokio::test]
async fn a_slow_endpoint_is_soon_left_alone() {
    let slow = Origin::answering(|_| Answer::body("s").after(Duration::from_millis(400)));
    let fast = named("f");
    let endpoints = json!([slow.address().to_string(), fast.address().to_string()]);
    for (way, site) in ways(&endpoints) {
        if !["the host", "peak_ewma"].contains(&way.as_str()) {
            continue;
        }
        // Two latencies are known for each worker's first requests, and from then on.
        let site = site.set("workers", 1).start().await;
        let answers = answers(&site, 30).await;
        let slow = answers.matches('s').count();
        assert!((1..=5).contains(&slow), "{way}: {answers}");
        site.shut_down().await;
    }
}

#[tokio::test]
async fn where_nobody_can_be_reached_the_client_is_told_so() {
    let mut only = Endpoint::start("o").await;
    let mut backup = Endpoint::start("b").await;
    let endpoints = json!([only.address.to_string(), { "address": backup.address.to_string(), "backup": true }]);
    for (way, site) in ways(&endpoints) {
        let site = site.start().await;
        only.down(&site).await;
        backup.down(&site).await;
        let reply = site.connect(Http::H1).await.get("/").await;
        assert!([502, 503].contains(&reply.status), "{way}: {}", reply.status);
        only.up().await;
        backup.up().await;
        assert_eq!(answers(&site, 3).await, "ooo", "{way}");
        site.shut_down().await;
    }
}

#[tokio::test]
async fn a_choice_in_the_place_of_a_balancer_that_traps_is_counted() {
    for (plugin, counted) in [("panics-in-balancer", 6), ("noop", 0)] {
        let site = Site::new().plugin("lb", plugin, json!({})).chain(&["lb"]);
        let site = site.origin(named("a")).origin(named("b")).origin(named("c")).start().await;
        answers(&site, 6).await;
        let metrics = site.admin().metrics().await;
        let picks = metrics.sum("palisade_upstream_fallback_picks_total", &[("upstream", "web")]);
        assert_eq!(picks, f64::from(counted), "{plugin}");
        assert_eq!(metrics.series("palisade_upstream_fallback_picks_total", &[("upstream", "web")]), 3);
    }
}
