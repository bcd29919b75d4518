//! The firewall: what it denies never reaches the origin, over every protocol.

use std::net::Ipv4Addr;

use harness::{Body, Http, Origin, Running, Site};
use http::Request;
use serde_json::{Value, json};

async fn site(settings: Value) -> Running {
    let site = Site::new().plugin("wall", "firewall", settings).chain(&["wall"]).origin(Origin::echo());
    site.set("plugin.wall.on_error", "closed").start().await
}

#[tokio::test]
async fn rules_decide_by_every_part_of_a_request() {
    let method = |method: &'static str| Request::builder().method(method).uri("/");
    let get = Request::get;
    let cases = [
        (json!({ "methods": ["TRACE", "DELETE"] }), method("DELETE"), method("GET")),
        (json!({ "methods": "BREW" }), method("BREW"), method("POST")),
        (json!({ "hosts": "*.example.test" }), get("/"), get("/").header("host", "localhost")),
        (
            json!({ "hosts": "www.example.test" }),
            get("/").header("host", "WWW.example.test:443"),
            get("/").header("host", "a.example.test"),
        ),
        (json!({ "path": "/admin" }), get("/admin"), get("/admin/x")),
        (json!({ "path_prefix": "/admin" }), get("/administrator?x=1"), get("/x/admin")),
        (json!({ "path_prefix": "/admin/" }), get("/static/../admin/x"), get("/adm")),
        (json!({ "path_prefix": "/admin" }), get("/%61dmin"), get("/b%61dmin")),
        (json!({ "path_regex": r"\.(bak|old)$" }), get("/index.bak?x"), get("/index.bakery")),
        (json!({ "header": [{ "name": "x-debug", "present": true }] }), get("/").header("X-Debug", ""), get("/")),
        (json!({ "header": [{ "name": "accept", "absent": true }] }), get("/"), get("/").header("accept", "*/*")),
        (
            json!({ "header": [{ "name": "user-agent", "regex": "(?i)scanner" }] }),
            get("/").header("user-agent", "Big-SCANNER/1.0"),
            get("/").header("user-agent", "curl"),
        ),
        (
            json!({ "header": [{ "name": "x-key", "equals": "bad" }] }),
            get("/").header("x-key", "good").header("x-key", "bad"),
            get("/").header("x-key", "badly"),
        ),
        (json!({ "query": [{ "name": "debug", "equals": "1" }] }), get("/?a=2&debug=1"), get("/?debug=2")),
        (json!({ "client": "127.0.0.0/8", "methods": "PUT" }), method("PUT"), method("POST")),
    ];
    for (when, denied, allowed) in cases {
        let rule = json!({ "name": "rule", "action": "deny", "when": when });
        let site = site(json!({ "rules": [rule] })).await;
        for http in [Http::H1, Http::H2] {
            let mut client = site.connect(http).await;
            assert_eq!(status(&mut client, &denied).await, 403, "{when} {http:?}");
            assert_eq!(status(&mut client, &allowed).await, 200, "{when} {http:?}");
        }
        assert_eq!(site.origin(0).seen().len(), 2, "{when}");
        assert_denied(&site, "rule", 2).await;
    }
}

async fn status(client: &mut harness::Client, request: &http::request::Builder) -> u16 {
    let (method, uri) = (request.method_ref().cloned(), request.uri_ref().cloned());
    let mut copy = Request::builder().method(method.expect("a method")).uri(uri.expect("a target"));
    for (name, value) in request.headers_ref().expect("headers") {
        copy = copy.header(name, value);
    }
    let reply = client.send(copy.body(Body::empty()).expect("a request")).await;
    reply.unwrap_or_else(|error| panic!("{error}")).status
}

/// So many requests were denied by this rule, says the plugin's own counter.
async fn assert_denied(site: &Running, rule: &str, count: u64) {
    let labels = [("plugin", "wall"), ("rule", rule), ("phase", "request")];
    assert_eq!(site.admin().metrics().await.count("palisade_firewall_denied_total", &labels), count, "{rule}");
}

#[tokio::test]
async fn the_first_rule_that_matches_decides_and_the_default_comes_last() {
    let rules = json!([
        { "name": "health", "action": "allow", "when": { "path": "/healthz" } },
        { "name": "trial", "action": "count", "when": { "path_prefix": "/" } },
        { "name": "teapot", "action": "deny", "status": 418, "body": "no coffee", "when": { "path_prefix": "/coffee" } },
        { "name": "silent", "action": "close", "when": { "path": "/silent" } },
        { "name": "api", "action": "allow", "when": { "path_prefix": "/api/", "methods": ["GET"] } },
    ]);
    let site = site(json!({ "rules": rules, "default_action": "deny", "body": "not here" })).await;
    for http in Http::ALL {
        let mut client = site.connect(http).await;
        for (path, status) in [("/healthz", 200), ("/coffee/pot", 418), ("/api/users", 200), ("/else", 403)] {
            assert_eq!(client.get(path).await.status, status, "{path} {http:?}");
        }
        assert_eq!(client.post("/api/users", "x").await.text(), "not here", "{http:?}");
        let closed = client.send(Request::get("/silent").body(Body::empty()).unwrap()).await;
        assert!(closed.is_err(), "{http:?}");
    }
    let metrics = site.admin().metrics().await;
    let matched = |rule| metrics.count("palisade_firewall_matched_total", &[("rule", rule)]);
    assert_eq!(["health", "trial", "teapot", "silent", "api"].map(matched), [3, 15, 3, 3, 3]);
    assert!(site.origin(0).seen().iter().all(|seen| ["/healthz", "/api/users"].contains(&seen.target.as_str())));
}

#[tokio::test]
async fn an_address_is_refused_before_a_byte_or_with_an_answer() {
    let lists =
        |connections: &str| json!({ "deny": ["127.0.0.0/29"], "allow": ["127.0.0.1/32"], "connections": connections });
    let stranger = Ipv4Addr::new(127, 0, 0, 2);
    let site_refuses = site(lists("refuse")).await;
    let site_answers = site(lists("accept")).await;
    for http in Http::ALL {
        for site in [&site_refuses, &site_answers] {
            assert_eq!(site.connect(http).await.get("/").await.status, 200, "{http:?}");
        }
        let refused = async {
            let mut client = site_refuses.dial(http).from(stranger).connect().await?;
            client.send(Request::get("/").body(Body::empty()).expect("a request")).await
        };
        assert!(refused.await.is_err(), "{http:?}");
        let mut client = site_answers.dial(http).from(stranger).connect().await.unwrap();
        assert_eq!(client.get("/").await.status, 403, "{http:?}");
    }
    assert_eq!((site_refuses.origin(0).seen().len(), site_answers.origin(0).seen().len()), (3, 3));
    let labels = [("plugin", "wall"), ("phase", "connection")];
    assert_eq!(site_refuses.admin().metrics().await.count("palisade_firewall_denied_total", &labels), 3);
}

#[tokio::test]
async fn an_allow_list_with_default_deny_lets_nobody_else_in() {
    let site =
        site(json!({ "allow": ["127.0.0.3", "2001:db8::/32"], "default": "deny", "connections": "accept" })).await;
    for (last, status) in [(1, 403), (2, 403), (3, 200), (4, 403)] {
        let mut client = site.dial(Http::H2).from(Ipv4Addr::new(127, 0, 0, last)).connect().await.unwrap();
        assert_eq!(client.get("/").await.status, status, "127.0.0.{last}");
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_client_is_who_the_proxy_says() {
    let settings = json!({ "deny": ["203.0.113.0/24"], "connections": "accept" });
    let site = Site::new().plugin("wall", "firewall", settings).chain(&["wall"]).origin(Origin::echo());
    let site = site.set("listener.public.trusted_proxies", json!(["127.0.0.9"])).start().await;
    for (peer, forwarded, status) in [
        (1, "203.0.113.7", 200),
        (9, "203.0.113.7", 403),
        (9, "198.51.100.7", 200),
        (9, "203.0.113.7, 198.51.100.7", 200),
        (9, "198.51.100.7, 203.0.113.7", 403),
    ] {
        let mut client = site.dial(Http::H1).from(Ipv4Addr::new(127, 0, 0, peer)).connect().await.unwrap();
        let request = Request::get("/").header("x-forwarded-for", forwarded).body(Body::empty()).unwrap();
        assert_eq!(client.send(request).await.unwrap().status, status, "127.0.0.{peer}: {forwarded}");
    }
}
