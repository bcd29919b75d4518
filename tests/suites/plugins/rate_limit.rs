//! The rate limiter: exact over all workers, and told to clients as they can use it.

use std::collections::BTreeSet;

use harness::{Client, Http, Origin, Running, Site};
use http::Request;
use serde_json::{Value, json};

#[tokio::test]
async fn four_workers_let_a_thousand_of_ten_thousand_requests_pass() {
    let site = limited(json!([{ "name": "all", "requests": 1_000, "per": "1m", "ipv4_prefix": 8 }]));
    // Tells which instance, and so which worker, had the request.
    let site = site.plugin("who", "shares", json!({})).set("plugin.who.grant", json!(["shared"]));
    let site = site.chain(&["who", "rate-limit"]).set("workers", 4).start().await;
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(site.connect(Http::Plain).await);
    }
    let asking: Vec<_> = clients.into_iter().map(|client| tokio::spawn(ask(client, 100))).collect();
    let (mut allowed, mut limited, mut by_worker) = (0, 0, BTreeSet::new());
    for asked in asking {
        let (passed, refused, workers) = asked.await.expect("a client that does not panic");
        (allowed, limited) = (allowed + passed, limited + refused);
        by_worker.extend(workers);
    }
    assert_eq!(by_worker.len(), 4, "every worker has let some pass");
    assert_eq!(allowed + limited, 10_000);
    assert!((990..=1_010).contains(&allowed), "{allowed} passed");
    assert_eq!(site.origin(0).seen().len(), allowed);
    let metrics = site.admin().metrics().await;
    let counted = |name: &str| metrics.count(&format!("palisade_rate_limit_{name}"), &[("limit", "all")]);
    assert_eq!((counted("allowed_total"), counted("limited_total")), (allowed as u64, limited as u64));
}

/// How many of the client's requests passed and were refused, and the instances that let some pass.
async fn ask(mut client: Client, requests: usize) -> (usize, usize, BTreeSet<String>) {
    let (mut allowed, mut workers) = (0, BTreeSet::new());
    for _ in 0..requests {
        let reply = client.get("/").await;
        match reply.status {
            200 => {
                allowed += 1;
                workers.extend(reply.header("x-instance").map(str::to_owned));
            }
            429 => {}
            status => panic!("status {status}"),
        }
    }
    (allowed, requests - allowed, workers)
}

#[tokio::test]
async fn clients_are_told_what_they_have_left_and_when_to_come_again() {
    let site = limited(json!([{ "name": "few", "requests": 2, "per": "1h" }])).start().await;
    for http in Http::ALL {
        let mut client = site.dial(http).from(address(http)).connect().await.expect("a connection");
        for left in ["1", "0", "none"] {
            let reply = client.get("/").await;
            let told = reply.header("ratelimit").expect("what is left");
            assert_eq!(reply.header("ratelimit-policy"), Some(r#""few";q=2;w=3600"#), "{http:?}");
            let seconds: u64 = told.rsplit('=').next().and_then(|text| text.parse().ok()).expect("a number");
            assert!((3_500..=3_600).contains(&seconds), "{told}");
            if left == "none" {
                assert_eq!((reply.status, reply.text()), (429, "too many requests\n"), "{http:?}");
                assert!(told.starts_with(r#""few";r=0;t="#), "{told}");
                assert_eq!(reply.header("retry-after"), Some(seconds.to_string().as_str()), "{http:?}");
            } else {
                assert!(reply.status == 200 && told.starts_with(&format!(r#""few";r={left};t="#)), "{told}");
            }
        }
    }
    assert_eq!(site.origin(0).seen().len(), 6);
}

/// Each protocol's client has an address of its own.
fn address(http: Http) -> std::net::Ipv4Addr {
    let last = Http::ALL.iter().position(|other| *other == http).unwrap_or_default();
    std::net::Ipv4Addr::new(127, 0, 1, u8::try_from(last).unwrap_or_default() + 1)
}

#[tokio::test]
async fn clients_are_told_apart_by_header_and_cookie_and_path() {
    let by = |by: Value| limited(json!([{ "name": "a", "requests": 1, "per": "1h", "by": by }]));
    let header = by(json!([{ "header": "x-key" }])).start().await;
    check(&header, "x-key", [("/", "a", 200), ("/", "b", 200), ("/", "a", 429), ("/x", "b", 429)]).await;
    let cookie = by(json!([{ "cookie": "id" }])).start().await;
    check(
        &cookie,
        "cookie",
        [("/", "id=1", 200), ("/", "x=1; id=2", 200), ("/", "id=2; x=3", 429), ("/", "id=1", 429)],
    )
    .await;
    let path = by(json!(["path"])).start().await;
    check(&path, "x", [("/a?1", "", 200), ("/b", "", 200), ("//a?2", "", 429), ("/%62", "", 429)]).await;
}

async fn check(site: &Running, header: &str, requests: [(&str, &str, u16); 4]) {
    let mut client = site.connect(Http::H1).await;
    for (path, value, status) in requests {
        let request = Request::get(path).header(header, value).body(harness::Body::empty()).expect("a request");
        assert_eq!(client.send(request).await.expect("an answer").status, status, "{path} {header}: {value}");
    }
}

#[tokio::test]
async fn a_mistake_in_its_settings_keeps_it_from_loading_and_refuses_its_requests() {
    let site = limited(json!([{ "name": "a", "requests": 0, "per": "1m" }])).with_problems().start().await;
    let figures = site.admin().plugin("rate-limit").await;
    let sentence = "refuses its configuration: settings.limits[0].requests: 0 is out of range: expected 1 to 1000000";
    assert!(figures.last_error().ends_with(sentence), "{}", figures.last_error());
    assert_eq!(site.get("/").await.status, 503);
}

/// A host with these limits in the chain.
fn limited(limits: Value) -> Site {
    let site = Site::new().origin(Origin::echo()).plugin("rate-limit", "rate-limit", json!({ "limits": limits }));
    site.set("plugin.rate-limit.grant", json!(["metrics", "shared"])).chain(&["rate-limit"])
}
