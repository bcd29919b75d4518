//! Which protocol is spoken with an endpoint: what the upstream says, and within TLS what both agree on.

use harness::{Http, Origin, Running, Site};
use http::{Request, Version};
use serde_json::json;

use super::{described, failures};

async fn within_tls(protocol: &str, origin: Origin) -> Running {
    let tls = json!({ "ca": "ca.pem", "server_name": "www.example.test" });
    Site::new().set("upstream.web.tls", tls).set("upstream.web.protocol", protocol).origin(origin).start().await
}

#[tokio::test]
async fn within_tls_both_agree_on_what_is_spoken() {
    for (protocol, offered, expected) in [
        ("h1", &["h2", "http/1.1"][..], Some(Version::HTTP_11)),
        ("h1", &[], Some(Version::HTTP_11)),
        ("auto", &["h2", "http/1.1"], Some(Version::HTTP_2)),
        ("auto", &["h2"], Some(Version::HTTP_2)),
        ("auto", &["http/1.1"], Some(Version::HTTP_11)),
        ("auto", &[], Some(Version::HTTP_11)),
        ("h2", &["h2", "http/1.1"], Some(Version::HTTP_2)),
        ("h2", &["http/1.1"], None),
        // It says nothing at all, and that is not a yes.
        ("h2", &[], None),
    ] {
        let site = within_tls(protocol, Origin::echo_by_alpn(offered)).await;
        for http in Http::ALL {
            let mut client = site.connect(http).await;
            let reply = client.post("/", "body").await;
            assert_eq!(reply.status, if expected.is_some() { 200 } else { 502 }, "{protocol} {offered:?} {http:?}");
        }
        let spoken: Vec<Version> = site.origin(0).seen().iter().map(|seen| seen.version).collect();
        assert_eq!(spoken, expected.map_or(vec![], |version| vec![version; 3]), "{protocol} {offered:?}");
        assert_eq!(
            failures(&site, "handshake").await,
            if expected.is_some() { 0 } else { 3 },
            "{protocol} {offered:?}"
        );
    }
}

#[tokio::test]
async fn an_endpoint_that_was_said_to_speak_http_2_and_does_not_is_a_502() {
    let site = described(Origin::echo()).start().await;
    for http in Http::ALL {
        assert_eq!(site.connect(http).await.get("/").await.status, 502, "{http:?}");
    }
    assert_eq!(site.origin(0).seen(), []);
    assert_eq!(failures(&site, "protocol").await + failures(&site, "reset").await, 3);
}

#[tokio::test]
async fn an_endpoint_that_does_not_speak_http_2_says_so_in_the_log() {
    let mut site = {
        let tls = json!({ "ca": "ca.pem", "server_name": "www.example.test" });
        let site = Site::new().set("upstream.web.tls", tls).set("upstream.web.protocol", "h2");
        site.origin(Origin::echo_by_alpn(&[])).start_process().await
    };
    assert_eq!(site.get("/").await.status, 502);
    let process = site.process();
    harness::eventually("the access log says why", async || {
        process
            .log()
            .lines()
            .any(|line| line.contains("\"status\":502") && line.contains("has not agreed to speak HTTP/2"))
    })
    .await;
}

#[tokio::test]
async fn an_upgrade_goes_over_http_1_where_both_are_spoken() {
    let site = within_tls("auto", Origin::echo_by_alpn(&["h2", "http/1.1"])).await;
    let mut client = site.connect(Http::H1).await;
    for (upgrade, expected) in [(false, Version::HTTP_2), (true, Version::HTTP_11), (false, Version::HTTP_2)] {
        let mut request = Request::get("/").body(harness::Body::empty()).expect("a request");
        if upgrade {
            let headers = request.headers_mut();
            headers.insert("connection", "upgrade".parse().expect("a value"));
            headers.insert("upgrade", "websocket".parse().expect("a value"));
        }
        assert_eq!(client.send(request).await.expect("an answer").status, 200);
        let seen = site.origin(0).seen().pop().expect("a request");
        let asked = if upgrade { vec!["websocket"] } else { vec![] };
        assert_eq!((seen.version, seen.values("upgrade")), (expected, asked));
    }
}

#[tokio::test]
async fn an_upgrade_is_not_asked_of_an_endpoint_that_speaks_http_2_alone() {
    let site = described(Origin::echo_over_http2(250)).start().await;
    let request = Request::get("/").header("connection", "upgrade").header("upgrade", "websocket");
    let request = request.body(harness::Body::empty()).expect("a request");
    assert_eq!(site.connect(Http::H1).await.send(request).await.expect("an answer").status, 200);
    let seen = site.origin(0).seen().pop().expect("a request");
    assert_eq!((seen.values("upgrade"), seen.values("connection")), (vec![], vec![]));
}
