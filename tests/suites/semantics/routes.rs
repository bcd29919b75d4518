//! Which upstream a request goes to, or where it is sent instead.

use harness::{Answer, Body, Http, Origin, Site};
use http::Request;
use serde_json::json;

#[tokio::test]
async fn the_most_exact_host_and_the_longest_path_choose_the_upstream() {
    let [web, api, other] = ["web", "api", "other"].map(|name| Origin::answering(move |_| Answer::body(name)));
    let site = Site::new()
        .set("upstream.api.endpoints", json!([api.address().to_string()]))
        .set("upstream.other.endpoints", json!([other.address().to_string()]))
        .origin(web)
        .route(json!({ "host": "www.example.test" }))
        .route(json!({ "host": "www.example.test", "path": "/api", "upstream": "api" }))
        .route(json!({ "host": "*.example.test", "upstream": "other" }))
        .start()
        .await;
    for (host, path, expected) in [
        ("www.example.test", "/", "web"),
        ("www.example.test", "/apis", "web"),
        ("www.example.test", "/api", "api"),
        ("www.example.test", "/api/x?y", "api"),
        ("WWW.Example.Test:8443", "/api/x", "api"),
        ("a.example.test", "/api", "other"),
        ("a.b.example.test", "/", "other"),
        ("example.test", "/", "not found\n"),
        ("www.example.org", "/", "not found\n"),
    ] {
        for http in Http::ALL {
            let request = Request::get(path).header("host", host).body(Body::empty()).expect("a request");
            let reply = site.connect(http).await.send(request).await.expect("an answer");
            let status = if expected == "not found\n" { 404 } else { 200 };
            assert_eq!((reply.status, reply.text()), (status, expected), "{host}{path} over {http:?}");
        }
    }
}

/// Routes, plugins and endpoints see one spelling of every path, over every protocol.
#[tokio::test]
async fn a_path_is_matched_inspected_and_forwarded_in_one_spelling() {
    let wall = json!({ "rules": [{ "name": "admin", "action": "deny", "when": { "path_prefix": "/admin" } }] });
    let cases = [
        ("/a/./b/%2e%2e//c?d=/../%61", 200, Some("/a/c?d=/../%61")),
        ("/%61%2Db/%c3%a9", 200, Some("/a-b/%C3%A9")),
        ("/x/../admin", 403, None),
        ("//admin", 403, None),
        ("/%61dmin", 403, None),
        ("/x/..%2fadmin", 400, None),
        ("/x/..;/admin", 400, None),
        ("/../admin", 400, None),
        ("/a%00", 400, None),
        ("/a%zz", 400, None),
    ];
    for policy in ["normalize", "refuse", "keep"] {
        let site = Site::new().origin(Origin::echo()).plugin("wall", "firewall", wall.clone()).chain(&["wall"]);
        let site = ["public", "plain"]
            .iter()
            .fold(site, |site, listener| site.set(&format!("listener.{listener}.paths"), policy));
        let site = site.start().await;
        for (target, status, forwarded) in cases {
            for http in Http::ALL {
                let request = Request::get(target).body(Body::empty()).expect("a request");
                let reply = site.connect(http).await.send(request).await.expect("an answer");
                let seen = site.origin(0).seen().pop().map(|seen| seen.target);
                match policy {
                    "normalize" => assert_eq!(reply.status, status, "{target} {http:?}"),
                    // None of these is in its normal form.
                    "refuse" => assert_eq!(reply.status, 400, "{target} {http:?}"),
                    _ if status == 200 => assert_eq!(seen.as_deref(), Some(target), "{http:?}"),
                    // The firewall has its own reading, which is the same.
                    _ => assert!([400, 403].contains(&reply.status), "{target} {http:?} {}", reply.status),
                }
                if let ("normalize", Some(forwarded)) = (policy, forwarded) {
                    assert_eq!(seen.as_deref(), Some(forwarded), "{http:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_redirecting_listener_sends_everyone_to_https() {
    for (redirect, status, port) in [
        (json!(true), 308, ""),
        (json!({ "port": 8443 }), 308, ":8443"),
        (json!({ "port": 8443, "status": 301 }), 301, ":8443"),
    ] {
        let site = Site::new().set("listener.plain.redirect_to_https", redirect).origin(Origin::echo()).start().await;
        for (host, target, location) in [
            ("www.example.test", "/a?b=c", format!("https://www.example.test{port}/a?b=c")),
            ("www.example.test:8080", "/", format!("https://www.example.test{port}/")),
            ("[::1]:8080", "/", format!("https://[::1]{port}/")),
        ] {
            let request = Request::get(target).header("host", host).body(Body::empty()).expect("a request");
            let reply = site.connect(Http::Plain).await.send(request).await.expect("an answer");
            assert_eq!((reply.status, reply.header("location")), (status, Some(location.as_str())));
        }
        assert_eq!(site.origin(0).seen(), []);
    }
}
