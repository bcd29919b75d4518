//! The balancer: which of three origins answers.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use harness::{Answer, Body, Client, Http, Origin, Running, Site};
use http::Request;
use serde_json::{Value, json};

async fn site(settings: Value) -> Running {
    let named = |name: &'static str| Origin::answering(move |_| Answer::body(name));
    let site = Site::new().plugin("lb", "balance", settings).chain(&["lb"]);
    site.origin(named("a")).origin(named("b")).origin(named("c")).start().await
}

async fn ask(client: &mut Client, header: &str, value: &str) -> String {
    let request = Request::get("/").header(header, value).body(Body::empty()).expect("a request");
    let reply = client.send(request).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(reply.status, 200);
    reply.text().to_owned()
}

#[tokio::test]
async fn round_robin_takes_the_endpoints_in_turn() {
    let site = site(json!({})).await;
    let mut client = site.connect(Http::H1).await;
    let mut order = String::new();
    for _ in 0..9 {
        order += &ask(&mut client, "x", "y").await;
    }
    let turn = order.get(..3).unwrap();
    assert_eq!(order, turn.repeat(3));
    assert_eq!(turn.chars().collect::<std::collections::BTreeSet<_>>().len(), 3, "{order}");
}

#[tokio::test]
async fn weights_are_shares() {
    let named = |name: &'static str| Origin::answering(move |_| Answer::body(name));
    let (heavy, light) = (named("h"), named("l"));
    let endpoints = json!([{ "address": heavy.address().to_string(), "weight": 4 }, light.address().to_string()]);
    let site = Site::new().plugin("lb", "balance", json!({})).chain(&["lb"]);
    let site = site.set("upstream.web.endpoints", endpoints).start().await;
    let mut client = site.connect(Http::H2).await;
    for _ in 0..50 {
        client.get("/").await;
    }
    assert_eq!((heavy.seen().len(), light.seen().len()), (40, 10));
}

#[tokio::test]
async fn maglev_sends_what_belongs_together_to_one_endpoint() {
    for (hash_on, header, value) in
        [(json!({ "header": "x-user" }), "x-user", ""), (json!({ "cookie": "session" }), "cookie", "other=1; session=")]
    {
        let site = site(json!({ "algorithm": "maglev", "hash_on": hash_on })).await;
        let mut homes = BTreeMap::new();
        for http in Http::ALL {
            let mut client = site.connect(http).await;
            for user in 0..40 {
                let home = ask(&mut client, header, &format!("{value}{user}")).await;
                assert_eq!(homes.entry(user).or_insert_with(|| home.clone()), &home, "{hash_on} {user} {http:?}");
            }
        }
        for origin in 0..3 {
            assert!(!site.origin(origin).seen().is_empty(), "{hash_on}: none of 40 came to origin {origin}");
        }
    }
}

#[tokio::test]
async fn maglev_by_client_keeps_each_address_at_one_endpoint() {
    let site = site(json!({ "algorithm": "maglev" })).await;
    let mut used = BTreeMap::new();
    for last in 1..=30 {
        let mut homes = Vec::new();
        for http in Http::ALL {
            let mut client = site.dial(http).from(Ipv4Addr::new(127, 0, 0, last)).connect().await.unwrap();
            homes.push(ask(&mut client, "x", "y").await);
        }
        assert!(homes.iter().all(|home| Some(home) == homes.first()), "127.0.0.{last}: {homes:?}");
        *used.entry(homes.pop()).or_insert(0) += 1;
    }
    assert_eq!(used.len(), 3, "{used:?}");
}

#[tokio::test]
async fn least_request_keeps_away_from_a_busy_endpoint() {
    let busy = Origin::answering(|_| Answer::body("busy").held());
    let free = Origin::answering(|_| Answer::body("free"));
    let site = Site::new().plugin("lb", "balance", json!({ "algorithm": "least_request" })).chain(&["lb"]);
    let site = site.origin(busy).origin(free).start().await;
    let client = site.connect(Http::H2).await;
    // Until the one that holds has a request: from then on it has one more than the other.
    let mut waiting = Vec::new();
    while site.origin(0).seen().is_empty() {
        let mut stream = client.another();
        let request = tokio::spawn(async move { stream.get("/").await.text().to_owned() });
        waiting.push(request);
        let count = waiting.len();
        harness::eventually("the request has arrived", async || {
            site.origin(0).seen().len() + site.origin(1).seen().len() == count
        })
        .await;
    }
    let mut client = site.connect(Http::H1).await;
    for _ in 0..50 {
        assert_eq!(client.get("/").await.text(), "free");
    }
    site.origin(0).release();
    for request in waiting {
        assert!(["busy", "free"].contains(&request.await.unwrap().as_str()));
    }
}

#[tokio::test]
async fn a_request_without_the_header_is_answered_and_counted() {
    let site = site(json!({ "algorithm": "maglev", "hash_on": { "header": "x-user" } })).await;
    for http in Http::ALL {
        assert_eq!(site.connect(http).await.get("/").await.status, 200);
    }
    assert_eq!(site.admin().metrics().await.count("palisade_balance_without_key_total", &[("plugin", "lb")]), 3);
}
