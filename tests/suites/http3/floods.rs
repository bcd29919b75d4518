//! Clients that are nowhere, and clients that ask for too much: the host is no amplifier, and others are served.

use std::sync::Arc;
use std::time::{Duration, Instant};

use harness::{Aioquic, Origin, eventually};
use serde_json::json;

use super::{site, started};

const EXCESSIVE_LOAD: u64 = 0x107;

#[tokio::test]
async fn an_address_that_nobody_has_shown_gets_three_times_its_own_bytes_at_most() {
    let site = site().set("listener.public.limits.handshake_timeout", "2s").origin(Origin::echo()).start().await;
    let program = Aioquic::start();
    let port = site.address("public").port();
    // Long enough for packets that are sent again and again.
    let told = program.tell(json!({ "do": "initials", "port": port, "count": 8, "seconds": 4 })).await.1;
    assert!(told["most"].as_f64().is_some_and(|most| most > 1.0 && most <= 3.0), "RFC 9000, section 8.1: {told}");
    assert_eq!(told["retries"], 0);
    let refused = |metrics: harness::Metrics| {
        metrics.count("palisade_connections_refused_total", &[("reason", "handshake_timeout")])
    };
    eventually("they are given up in time", async || refused(site.admin().metrics().await) == 8).await;
    eventually("none is left", async || site.admin().metrics().await.sum("palisade_connections", &[]) < 0.5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_first_packets_costs_no_good_client_its_answer() {
    let (site, client) = started(site()).await;
    let program = Arc::new(Aioquic::start());
    let port = site.address("public").port();
    let flooding = {
        let program = program.clone();
        tokio::spawn(async move {
            program.tell(json!({ "do": "initials", "port": port, "count": 1_000, "seconds": 1 })).await.1
        })
    };
    let good = Arc::new(Aioquic::start());
    let (mut asked, mut retried, mut slowest) = (0, 0, Duration::ZERO);
    while !flooding.is_finished() {
        let began = Instant::now();
        assert_eq!(client.get("/").await.status, 200);
        let new = good.connect(&site).await;
        retried += u32::from(new.opened["retried"] == true);
        assert_eq!(new.get("/").await.status, 200);
        new.tell(json!({ "do": "close" })).await;
        slowest = slowest.max(began.elapsed());
        asked += 1;
    }
    let told = flooding.await.expect("it is told");
    assert!(told["retries"].as_u64() > Some(800), "most have to show where they are: {told}");
    assert!(told["most"].as_f64() <= Some(3.0), "{told}");
    assert!(asked > 0 && retried > 0, "{retried} of {asked} good clients came during the flood");
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
    site.idle().await;
}

#[tokio::test]
async fn a_client_that_gives_up_its_requests_again_and_again_is_closed() {
    let (site, client) = started(site()).await;
    let other = Arc::new(Aioquic::start()).connect(&site).await;
    for _ in 0..400 {
        let asked = client.request(("GET", "/hold"), &[], json!({ "wait": null })).await;
        if !asked["closed"].is_null() {
            break;
        }
        client.tell(json!({ "do": "cancel", "stream": asked["stream"] })).await;
    }
    let closed = client.tell(json!({ "do": "closed" })).await;
    assert_eq!(closed["closed"]["code"], EXCESSIVE_LOAD);
    assert_eq!(other.get("/").await.status, 200);
    site.idle().await;
}

#[tokio::test]
async fn a_client_has_as_many_streams_as_it_may_and_the_listener_as_many_connections() {
    let site = site().set("listener.public.limits.streams", 3).set("listener.public.limits.connections", 2);
    let (site, client) = started(site).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(client.request(("GET", "/hold"), &[], json!({ "wait": null })).await["stream"].clone());
    }
    eventually("three are asked", async || site.origin(0).seen().len() == 3).await;
    let program = Arc::new(Aioquic::start());
    let second = program.connect(&site).await;
    assert_eq!(second.opened["retried"], true, "half of the places are taken");
    assert_eq!(second.get("/").await.status, 200);
    let (_, third) = program.try_connect(&site, json!({})).await;
    assert_eq!(third["connected"], false, "{third}");
    assert_eq!(site.origin(0).seen().len(), 4, "the others wait for a place");
    site.origin(0).release();
    for stream in held {
        assert_eq!(client.tell(json!({ "do": "answer", "stream": stream })).await["status"], 200);
    }
    site.idle().await;
}

#[tokio::test]
async fn clients_that_stay_for_too_long_are_closed() {
    let site = site().set(
        "listener.public.limits",
        json!({ "idle_timeout": "1s", "header_timeout": "500ms", "body_timeout": "700ms" }),
    );
    let (site, idle) = started(site).await;
    assert_eq!(idle.get("/").await.status, 200);
    let closed = idle.tell(json!({ "do": "closed" })).await;
    assert_eq!((&closed["closed"]["code"], &closed["goaway"][0]), (&json!(0x100), &json!((1_u64 << 62) - 4)));
    let program = Arc::new(Aioquic::start());
    let slow_head = program.connect_with(&site, json!({ "raw": true })).await;
    let part = json!([{ "stream": 2, "bytes": "000400" }, { "stream": 0, "bytes": "0110" }]);
    let told = slow_head.tell(json!({ "do": "bytes", "streams": part })).await;
    assert!(!told["closed"].is_null() || !told["reset"].is_null(), "{told}");
    let slow_body = program.connect(&site).await;
    let sent = json!({ "goes_on": true, "pattern": 10 });
    let answer = slow_body.request(("POST", "/"), &[("content-length", "100")], sent).await;
    assert!(answer["status"] == 408 || !answer["closed"].is_null(), "{answer}");
    let metrics = site.admin().metrics().await;
    assert_eq!(metrics.count("palisade_connections_refused_total", &[("reason", "header_timeout")]), 1);
    site.idle().await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_more_is_cut_in_time() {
    let site = site().set("listener.public.limits.body_timeout", "700ms").origin(Origin::echo()).start().await;
    let client = Arc::new(Aioquic::start()).connect(&site).await;
    client.request(("GET", "/bytes/50000000"), &[], json!({ "wait": 100_000 })).await;
    client.tell(json!({ "do": "deaf" })).await;
    let began = Instant::now();
    site.idle().await;
    assert!(began.elapsed() < Duration::from_secs(15), "long before it would be given up: {:?}", began.elapsed());
    let metrics = site.admin().metrics().await;
    assert_eq!(metrics.count("palisade_connections_refused_total", &[("reason", "body_timeout")]), 1);
    eventually("the origin's connection is closed", async || site.origin(0).connections() == 0).await;
}

/// RFC 9000, sections 5.1.1, 5.1.2 and 19.15: ids cost the host something until they are retired, and retiring them does until it is
/// acknowledged.
#[tokio::test]
async fn a_flood_of_connection_ids_ends_the_connection() {
    let (site, good) = started(site()).await;
    let program = Arc::new(Aioquic::start());
    for (count, retire, deaf) in [(20, false, false), (4_000, true, true)] {
        let client = program.connect(&site).await;
        assert_eq!(client.get("/").await.status, 200);
        if deaf {
            // Nothing is acknowledged.
            client.tell(json!({ "do": "deaf" })).await;
        }
        let before = refused(&site).await;
        client.tell(json!({ "do": "ids", "count": count, "retire": retire })).await;
        eventually("it is closed", async || refused(&site).await == before + 1).await;
        assert_eq!(good.get("/").await.status, 200);
    }
}

async fn refused(site: &harness::Running) -> u64 {
    site.admin().metrics().await.count("palisade_connections_refused_total", &[("reason", "protocol")])
}
