//! Header fields: those of one hop go no further, and each hop says who asked.

use harness::{Answer, Body, Http, Origin, Site};
use http::Request;
use serde_json::json;

const HOP: [(&str, &str); 6] = [
    ("connection", "x-hop, keep-alive"),
    ("x-hop", "1"),
    ("keep-alive", "timeout=5"),
    ("proxy-connection", "keep-alive"),
    ("upgrade", "websocket"),
    ("x-end", "2"),
];

#[tokio::test]
async fn fields_of_one_hop_do_not_reach_the_origin() {
    let site = Site::new().origin(Origin::echo()).start().await;
    for http in [Http::Plain, Http::H1] {
        let request = HOP.iter().fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
        let sent = site.connect(http).await.send(request.body(Body::empty()).expect("a request")).await;
        assert_eq!(sent.expect("an answer").status, 200, "{http:?}");
    }
    for seen in site.origin(0).seen() {
        let names: Vec<&str> = seen.headers.keys().map(|name| name.as_str()).collect();
        for (name, _) in HOP.iter().filter(|(name, _)| *name != "x-end") {
            assert!(!names.contains(name), "{name} in {names:?}");
        }
        assert_eq!(seen.values("x-end"), ["2"]);
    }
}

#[tokio::test]
async fn fields_of_one_hop_do_not_reach_the_client() {
    let origin = Origin::raw(
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: x-hop, close\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\n\
         proxy-connection: close\r\nupgrade: h2c\r\nx-end: 2\r\n\r\nok",
    );
    let site = Site::new().origin(origin).start().await;
    for http in Http::ALL {
        let reply = site.connect(http).await.get("/").await;
        assert_eq!(reply.text(), "ok", "{http:?}");
        assert_eq!(reply.header("x-end"), Some("2"), "{http:?}");
        for name in ["x-hop", "keep-alive", "proxy-connection", "upgrade", "connection"] {
            assert_eq!(reply.header(name), None, "{name} over {http:?}");
        }
    }
}

#[tokio::test]
async fn via_names_this_hop_after_those_before() {
    let origin = Origin::answering(|_| Answer::body("ok").header("via", "1.1 origin-side"));
    let site = Site::new().origin(origin).start().await;
    for (http, version) in [(Http::Plain, "1.1"), (Http::H1, "1.1"), (Http::H2, "2")] {
        let request = Request::get("/").header("via", "1.0 before").body(Body::empty()).expect("a request");
        let reply = site.connect(http).await.send(request).await.expect("an answer");
        assert_eq!(reply.values("via"), ["1.1 origin-side, 1.1 palisade"], "{http:?}");
        let seen = site.origin(0).seen().pop().expect("a request");
        assert_eq!(seen.values("via"), [format!("1.0 before, {version} palisade")], "{http:?}");
    }
}

#[tokio::test]
async fn what_a_stranger_says_of_itself_is_replaced() {
    check_forwarded(
        &[],
        &[
            ("x-forwarded-for", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "evil"),
        ],
        [
            ("x-forwarded-for", "127.0.0.1"),
            ("forwarded", "for=127.0.0.1;proto=https;host=\"www.example.test\""),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "www.example.test"),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_a_trusted_proxy_says_is_continued() {
    check_forwarded(
        &["127.0.0.0/8"],
        &[
            ("x-forwarded-for", "203.0.113.9"),
            ("forwarded", "for=203.0.113.9"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "a.test"),
        ],
        [
            ("x-forwarded-for", "203.0.113.9, 127.0.0.1"),
            ("forwarded", "for=203.0.113.9, for=127.0.0.1;proto=https;host=\"www.example.test\""),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "a.test"),
        ],
    )
    .await;
}

async fn check_forwarded(trusted: &[&str], sent: &[(&str, &str)], expected: [(&str, &str); 4]) {
    let site = Site::new().set("listener.public.trusted_proxies", json!(trusted)).origin(Origin::echo()).start().await;
    for http in [Http::H1, Http::H2] {
        let request = sent.iter().fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
        let reply = site.connect(http).await.send(request.body(Body::empty()).expect("a request")).await;
        assert_eq!(reply.expect("an answer").status, 200);
        let seen = site.origin(0).seen().pop().expect("a request");
        for (name, value) in expected {
            assert_eq!(seen.values(name), [value], "{name} over {http:?}");
        }
    }
}

#[tokio::test]
async fn what_is_for_the_end_arrives_as_it_was_sent() {
    let origin = Origin::answering(|_| {
        Answer::body("ok").header("set-cookie", "a=1").header("set-cookie", "b=2").header("x-empty", "")
    });
    let site = Site::new().origin(origin).start().await;
    for http in Http::ALL {
        let request = Request::get("/a%2Fb/c;d?e=%00&f=%C3%A9")
            .header("cookie", "a=1; b=2")
            .header("accept", "text/html")
            .header("accept", "*/*")
            .header("authorization", "Basic eA==")
            .body(Body::empty());
        let reply = site.connect(http).await.send(request.expect("a request")).await.expect("an answer");
        assert_eq!(reply.values("set-cookie"), ["a=1", "b=2"], "{http:?}");
        assert_eq!(reply.header("x-empty"), Some(""), "{http:?}");
        let seen = site.origin(0).seen().pop().expect("a request");
        assert_eq!(seen.target, "/a%2Fb/c;d?e=%00&f=%C3%A9", "{http:?}");
        assert_eq!(seen.values("cookie"), ["a=1; b=2"], "{http:?}");
        assert_eq!(seen.values("accept"), ["text/html", "*/*"], "{http:?}");
        assert_eq!(seen.values("authorization"), ["Basic eA=="], "{http:?}");
        assert_eq!(seen.values("host"), ["www.example.test"], "{http:?}");
    }
}
