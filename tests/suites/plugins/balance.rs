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

#[tokio::test]
async fn ring_hash_keeps_what_belongs_together_and_spreads_what_is_too_much() {
    let held = |name: &'static str| {
        Origin::answering(
            move |seen| if seen.target == "/hold" { Answer::body(name).held() } else { Answer::body(name) },
        )
    };
    let settings = json!({ "algorithm": "ring_hash", "hash_on": { "header": "x-user" }, "bound": 1.25 });
    let site = Site::new().plugin("lb", "balance", settings).chain(&["lb"]);
    let site = site.origin(held("a")).origin(held("b")).origin(held("c")).start().await;
    let mut client = site.connect(Http::H1).await;
    let home = ask(&mut client, "x-user", "7").await;
    for _ in 0..10 {
        assert_eq!(ask(&mut client, "x-user", "7").await, home);
    }
    // Nine of the same user under way: nobody has more than 1.25 times a third of them, rounded up.
    let many = site.connect(Http::H2).await;
    let mut waiting = Vec::new();
    for count in 1..=9 {
        let mut stream = many.another();
        waiting.push(tokio::spawn(async move {
            let request = Request::get("/hold").header("x-user", "7").body(Body::empty()).expect("a request");
            stream.send(request).await.map(|reply| reply.status)
        }));
        let arrived = |origin: usize| site.origin(origin).seen().iter().filter(|seen| seen.target == "/hold").count();
        harness::eventually("the request has arrived", async || (0..3).map(arrived).sum::<usize>() == count).await;
        let limit = (count * 125).div_ceil(300);
        assert!((0..3).all(|origin| arrived(origin) <= limit), "{count}: over {limit}");
    }
    (0..3).for_each(|origin| site.origin(origin).release());
    for reply in waiting {
        assert!(reply.await.unwrap().is_ok_and(|status| status == 200));
    }
    assert_eq!(ask(&mut client, "x-user", "7").await, home, "they have ended");
}

/// The name and value of the cookie that an answer sets.
fn cookie(reply: &harness::Reply) -> Option<&str> {
    reply.header("set-cookie").and_then(|cookie| cookie.split(';').next())
}

#[tokio::test]
async fn a_cookie_keeps_a_client_at_its_endpoint_until_that_is_gone() {
    let settings = json!({
        "algorithm": "sticky_cookie",
        "cookie": { "name": "node", "secret": "0123456789abcdef", "path": "/shop", "ttl": "8h", "secure": false },
    });
    let named = |name: &'static str| Origin::answering(move |_| Answer::body(name).header("set-cookie", "own=1"));
    let site = Site::new().plugin("lb", "balance", settings).chain(&["lb"]);
    let site = site.origin(named("a")).origin(named("b")).origin(named("c")).start().await;
    let ask = async |http: Http, cookie: Option<&str>| {
        let mut request = Request::get("/shop");
        if let Some(cookie) = cookie {
            request = request.header("cookie", format!("a=b; {cookie}"));
        }
        let reply = site.connect(http).await.send(request.body(Body::empty()).expect("a request")).await;
        reply.unwrap_or_else(|error| panic!("{error}"))
    };
    for http in Http::ALL {
        let first = ask(http, None).await;
        let [own, given] = first.values("set-cookie").try_into().expect("the endpoint's cookie and ours");
        assert_eq!(own, "own=1");
        let (known, attributes) = given.split_once(';').expect("attributes");
        assert_eq!(attributes, " Path=/shop; Max-Age=28800; HttpOnly; SameSite=Lax");
        assert!(!known.contains(&site.origin(0).address().port().to_string()), "it names nobody: {known}");
        for again in Http::ALL {
            let reply = ask(again, Some(known)).await;
            assert_eq!((reply.text(), reply.values("set-cookie")), (first.text(), vec!["own=1"]), "{http:?} {again:?}");
        }
        let junk = ask(http, Some("node=0123456789abcdef")).await;
        assert_eq!(junk.values("set-cookie").len(), 2);
    }
}

#[tokio::test]
async fn a_client_of_an_endpoint_that_is_gone_gets_another_cookie() {
    let settings = json!({ "algorithm": "sticky_cookie", "cookie": { "name": "node", "secret": "0123456789abcdef" } });
    let named = |name: &'static str| Origin::answering(move |_| Answer::body(name));
    let mut origins = vec![named("a"), named("b")];
    let endpoints: Vec<String> = origins.iter().map(|origin| origin.address().to_string()).collect();
    let site = Site::new().plugin("lb", "balance", settings).chain(&["lb"]).set("upstream.web.endpoints", endpoints);
    let site = site.start().await;
    let ask = async |cookie: &str| {
        let request = Request::get("/").header("cookie", cookie).body(Body::empty()).expect("a request");
        let reply = site.connect(Http::H1).await.send(request).await;
        reply.unwrap_or_else(|error| panic!("{error}"))
    };
    let first = ask("none=1").await;
    let known = cookie(&first).expect("a cookie").to_owned();
    assert_eq!(ask(&known).await.text(), first.text());
    // It is gone: its connections are refused, and the retry goes to the other one.
    drop(origins.remove(usize::from(first.text() == "b")));
    harness::eventually("another endpoint answers", async || {
        let reply = ask(&known).await;
        reply.status == 200 && reply.text() != first.text()
    })
    .await;
    let other = ask(&known).await;
    let newer = cookie(&other).expect("another cookie").to_owned();
    assert_ne!(newer, known);
    let again = ask(&newer).await;
    assert_eq!((again.text(), cookie(&again)), (other.text(), None));
}
