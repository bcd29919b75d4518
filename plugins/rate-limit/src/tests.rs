//! The plugin as a whole, in a host for tests.

use std::time::Duration;

use palisade_sdk::{TestHost, TestRequest, TestResponse};
use serde_json::{Value, json};

use super::*;

fn host(limits: Value) -> TestHost<RateLimit> {
    TestHost::configure(json!({ "limits": limits })).unwrap()
}

fn one(more: Value) -> TestHost<RateLimit> {
    let mut limit = json!({ "name": "all", "requests": 2, "per": "10s" });
    limit.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    host(json!([limit]))
}

/// How many of the requests pass, one after the other at the same time.
fn passing(host: &mut TestHost<RateLimit>, requests: impl IntoIterator<Item = TestRequest>) -> usize {
    requests.into_iter().filter(|request| host.request(request.clone()).is_continue()).count()
}

fn get(path: &str) -> TestRequest {
    TestRequest::get(path)
}

#[test]
fn a_client_has_its_requests_in_each_period_and_others_have_theirs() {
    let mut host = one(json!({}));
    assert_eq!(passing(&mut host, vec![get("/"); 5]), 2);
    assert_eq!(passing(&mut host, vec![get("/").client("198.51.100.9"); 5]), 2);
    host.advance(Duration::from_millis(9_999));
    assert_eq!(passing(&mut host, [get("/")]), 0);
    host.advance(Duration::from_millis(1));
    assert_eq!(passing(&mut host, vec![get("/"); 5]), 2);
    assert_eq!(host.counter_with("allowed_total", &[("limit", "all")]), 6);
    assert_eq!(host.counter_with("limited_total", &[("limit", "all")]), 10);
}

#[test]
fn a_burst_is_refilled_steadily() {
    let mut host = one(json!({ "requests": 10, "burst": 3 }));
    assert_eq!(passing(&mut host, vec![get("/"); 5]), 3);
    host.advance(Duration::from_secs(1));
    assert_eq!(passing(&mut host, vec![get("/"); 5]), 1);
    host.advance(Duration::from_secs(60));
    assert_eq!(passing(&mut host, vec![get("/"); 5]), 3);
}

#[test]
fn a_refusal_says_when_to_come_again() {
    let mut host = one(json!({ "requests": 1 }));
    host.request(get("/"));
    host.advance(Duration::from_millis(3_500));
    let refused = host.request(get("/"));
    assert_eq!((refused.reply_status(), refused.reply_text()), (Some(429), Some("too many requests\n")));
    assert_eq!(refused.reply_header("retry-after"), Some("7"));
    let mut host = TestHost::<RateLimit>::configure(json!({
        "limits": [{ "name": "a", "requests": 1, "per": "1m" }], "status": 503, "body": "later\n"
    }));
    let host = host.as_mut().unwrap();
    host.request(get("/"));
    let refused = host.request(get("/"));
    assert_eq!((refused.reply_status(), refused.reply_text()), (Some(503), Some("later\n")));
}

#[test]
fn responses_tell_what_is_left_of_every_limit_that_was_asked() {
    let mut host = host(json!([
        { "name": "often", "requests": 3, "per": "10s" },
        { "name": "evenly", "requests": 60, "per": "1m", "burst": 5 },
        { "name": "posts", "requests": 1, "per": "1m", "methods": ["POST"] },
    ]));
    let told = |host: &mut TestHost<RateLimit>| {
        let exchange = host.request(get("/")).exchange();
        let response = host.response(TestResponse::status(200).exchange(exchange));
        ["ratelimit-policy", "ratelimit"].map(|name| response.header(name).unwrap_or_default().to_owned())
    };
    let policy = r#""often";q=3;w=10, "evenly";q=5;w=5"#;
    assert_eq!(told(&mut host), [policy, r#""often";r=2;t=10, "evenly";r=4;t=1"#]);
    host.advance(Duration::from_millis(100));
    assert_eq!(told(&mut host), [policy, r#""often";r=1;t=10, "evenly";r=3;t=2"#]);
    told(&mut host);
    assert_eq!(told(&mut host), [r#""often";q=3;w=10"#, r#""often";r=0;t=10"#], "the second limit was not come to");
    let upstream = TestResponse::status(200).header("ratelimit", r#""origin";r=1"#);
    let response = host.response(upstream);
    assert_eq!(response.header_values("ratelimit"), [r#""origin";r=1"#], "an exchange that was not limited");
}

#[test]
fn nothing_is_told_where_nothing_is_to_be() {
    let settings = json!({ "limits": [{ "name": "a", "requests": 5, "per": "1m" }], "headers": false });
    let mut host = TestHost::<RateLimit>::configure(settings).unwrap();
    let exchange = host.request(get("/")).exchange();
    assert_eq!(host.response(TestResponse::status(200).exchange(exchange)).header("ratelimit"), None);
    assert!(host.plugin().untold.is_empty());
}

#[test]
fn exchanges_that_never_have_a_response_are_forgotten() {
    let mut host = one(json!({ "requests": 10_000 }));
    let exchanges: Vec<_> = (0..UNTOLD_MAX + 10).map(|_| host.request(get("/")).exchange()).collect();
    assert_eq!(host.plugin().untold.len(), UNTOLD_MAX);
    let mut tells = |exchange: &Exchange| {
        host.response(TestResponse::status(200).exchange(*exchange)).header("ratelimit").is_some()
    };
    assert!(!tells(&exchanges[0]) && tells(exchanges.last().unwrap()));
}

#[test]
fn clients_are_told_apart_by_what_the_limit_says() {
    let by = |by: Value| one(json!({ "by": by }));
    let key = |key: &str| get("/").header("x-key", key);
    assert_eq!(passing(&mut by(json!([{ "header": "X-Key" }])), ["a", "b", "a", "a", "b"].map(key)), 4);
    assert_eq!(
        passing(&mut by(json!([{ "header": "x-key" }])), vec![get("/"); 3]),
        2,
        "without one, all are one client"
    );
    let cookie = |cookie: &str| get("/").header("cookie", cookie);
    let cookies = ["id=1; x=1", "id=1; x=2", "x=3; id=1", "id=2"].map(cookie);
    assert_eq!(passing(&mut by(json!([{ "cookie": "id" }])), cookies), 3);
    let paths = ["/a", "/a?x", "//a", "/b", "/%61"].map(get);
    assert_eq!(passing(&mut by(json!(["path"])), paths), 3);
    let both = [("/a", "1"), ("/a", "2"), ("/b", "1"), ("/a", "1"), ("/a", "1")];
    let both = both.map(|(path, key)| get(path).header("x-key", key));
    assert_eq!(passing(&mut by(json!(["path", { "header": "x-key" }])), both), 4);
}

#[test]
fn addresses_of_one_network_are_one_client() {
    let from = |client: &str| get("/").client(client);
    let v4 = ["192.0.2.1", "192.0.2.200", "192.0.2.3", "192.0.3.1"].map(from);
    assert_eq!(passing(&mut one(json!({})), v4.clone()), 4);
    assert_eq!(passing(&mut one(json!({ "ipv4_prefix": 24 })), v4.clone()), 3);
    assert_eq!(passing(&mut one(json!({ "ipv4_prefix": 0 })), v4), 2);
    let v6 = ["2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::1", "2001:db8:0:1::1"].map(from);
    assert_eq!(passing(&mut one(json!({})), v6.clone()), 3);
    assert_eq!(passing(&mut one(json!({ "ipv6_prefix": 128 })), v6.clone()), 4);
    assert_eq!(passing(&mut one(json!({ "ipv6_prefix": 0 })), v6), 2);
}

#[test]
fn a_limit_is_for_its_methods_and_paths() {
    let mut host = one(json!({ "methods": ["POST", "BREW"], "paths": ["/login", "/api/"] }));
    assert_eq!(passing(&mut host, vec![get("/login"); 5]), 5);
    assert_eq!(passing(&mut host, vec![TestRequest::post("/logins"); 5]), 5);
    let limited = ["/login", "/x/../login", "/api", "/api/x", "//login/deep?er"].map(TestRequest::post);
    assert_eq!(passing(&mut host, limited), 2);
    assert_eq!(passing(&mut host, [TestRequest::new("BREW", "/login"), TestRequest::new("brew", "/login")]), 1);
}

#[test]
fn every_limit_has_to_let_a_request_pass() {
    let mut host = host(json!([
        { "name": "second", "requests": 2, "per": "1s" },
        { "name": "minute", "requests": 3, "per": "1m" },
    ]));
    assert_eq!(passing(&mut host, vec![get("/"); 4]), 2);
    host.advance(Duration::from_secs(1));
    assert_eq!(passing(&mut host, vec![get("/"); 4]), 1);
    assert_eq!(host.counter_with("limited_total", &[("limit", "minute")]), 1);
    assert_eq!(host.counter_with("limited_total", &[("limit", "second")]), 4);
}

#[test]
fn what_was_evicted_begins_anew_and_what_cannot_be_asked_is_not_decided() {
    let mut host = one(json!({}));
    assert_eq!(passing(&mut host, vec![get("/"); 3]), 2);
    host.evict_shared();
    assert_eq!(passing(&mut host, vec![get("/"); 3]), 2);
    host.lose_shared();
    assert_eq!(host.request(get("/")).error(), Some("the store of what is shared is not available"));
    host.find_shared_again();
    assert_eq!(passing(&mut host, [get("/")]), 0);
}

#[test]
fn a_client_that_has_all_its_requests_again_takes_no_room() {
    let mut host = one(json!({ "burst": 1 }));
    for client in 0..100 {
        host.request(get("/").client(&format!("192.0.2.{client}")));
    }
    assert_eq!(host.shared_keys().len(), 100);
    host.advance(Duration::from_secs(5));
    assert_eq!(host.shared_keys().len(), 0);
}

#[test]
fn a_mistake_in_the_settings_is_named() {
    let limit = |key: &str, value: Value| {
        let mut limit = json!({ "name": "a", "requests": 1, "per": "1m" });
        limit[key] = value;
        json!([limit])
    };
    refuses(json!([]), "settings.limits: are 0: expected 1 to 64");
    let twice = json!([{ "name": "a", "requests": 1, "per": "1m" }, { "name": "a", "requests": 1, "per": "1m" }]);
    refuses(twice, "settings.limits[1].name: \"a\" is the name of another limit already");
    refuses(
        limit("name", json!("A b")),
        "settings.limits[0].name: \"A b\" is not a name: expected at most 63 lower-case letters, digits or hyphens",
    );
    refuses(limit("requests", json!(0)), "settings.limits[0].requests: 0 is out of range: expected 1 to 1000000");
    refuses(limit("burst", json!(0)), "settings.limits[0].burst: 0 is out of range: expected 1 to 1000000");
    refuses(
        limit("burst", json!(1_000_000)),
        "settings.limits[0].burst: 1000000 would take 60000000 s to come again: expected a week at most",
    );
    refuses(
        limit("per", json!("1w")),
        "settings.limits[0].per: \"1w\" is not a period: expected a whole number with s, m, h or d, such as \"1m\"",
    );
    refuses(limit("by", json!([])), "settings.limits[0].by: has 0 entries: expected 1 to 4");
    refuses(
        limit("by", json!([{ "header": "a b" }])),
        "settings.limits[0].by: \"a b\" is not the name of a header or a cookie",
    );
    refuses(
        limit("by", json!(["address"])),
        "settings.limits[0].by[0]: unknown variant `address`, expected one of `client`, `path`, `header`, `cookie`",
    );
    refuses(limit("ipv4_prefix", json!(33)), "settings.limits[0].ipv4_prefix: 33 is out of range: expected 0 to 32");
    refuses(limit("ipv6_prefix", json!(129)), "settings.limits[0].ipv6_prefix: 129 is out of range: expected 0 to 128");
    refuses(limit("paths", json!(["login"])), "settings.limits[0].paths: \"login\" does not begin with \"/\"");
    refuses(limit("methods", json!(["P OST"])), "settings.limits[0].methods: \"P OST\" is not a method");
    let error = TestHost::<RateLimit>::configure(json!({ "limits": limit("name", json!("a")), "status": 200 }));
    assert_eq!(
        error.unwrap_err().to_string(),
        "settings.status: 200 is not the status of a refusal: expected 400 to 599"
    );
}

#[track_caller]
fn refuses(limits: Value, message: &str) {
    let error = TestHost::<RateLimit>::configure(json!({ "limits": limits })).err();
    assert_eq!(error.map(|error| error.to_string()).as_deref(), Some(message));
}
