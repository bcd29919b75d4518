//! Sizes and numbers that a listener allows, and what is beyond.

use harness::{Body, Client, Http, Origin, Running, Site, eventually};
use http::Request;

async fn site() -> Running {
    let limits = |site: Site, listener: &str| {
        let set = |site: Site, key: &str, value: serde_json::Value| {
            site.set(&format!("listener.{listener}.limits.{key}"), value)
        };
        let site = set(site, "headers", 20.into());
        let site = set(site, "header_bytes", "8 KiB".into());
        let site = set(site, "target_bytes", "100 B".into());
        set(site, "request_body", "1000 B".into())
    };
    limits(limits(Site::new(), "public"), "plain").origin(Origin::echo()).start().await
}

#[tokio::test]
async fn a_head_may_be_as_large_as_the_listener_allows() {
    let site = site().await;
    for http in Http::ALL {
        check(&site, http, Request::get(target(100)), 200).await;
        check(&site, http, Request::get(target(101)), 414).await;
        check(&site, http, fields(Request::get("/"), 15, 10), 200).await;
        check(&site, http, fields(Request::get("/"), 25, 10), 431).await;
        check(&site, http, fields(Request::get("/"), 7, 1000), 200).await;
        check(&site, http, fields(Request::get("/"), 9, 1000), 431).await;
    }
    assert!(site.origin(0).seen().iter().all(|seen| seen.target.len() <= 100 && seen.headers.len() <= 30));
}

fn target(bytes: usize) -> String {
    format!("/{}", "a".repeat(bytes - 1))
}

fn fields(request: http::request::Builder, count: usize, bytes: usize) -> http::request::Builder {
    let value = "v".repeat(bytes);
    (0..count).fold(request, |request, number| request.header(format!("x-{number}"), &value))
}

async fn check(site: &Running, http: Http, request: http::request::Builder, expected: u16) {
    let request = request.body(Body::empty()).expect("a request");
    let about = format!("{} fields over {http:?}, {:?}", request.headers().len(), request.uri());
    let reply = site.connect(http).await.send(request).await.unwrap_or_else(|error| panic!("{about}: {error}"));
    assert_eq!(reply.status, expected, "{about}");
}

#[tokio::test]
async fn a_body_may_be_as_long_as_the_listener_allows() {
    let site = site().await;
    for http in Http::ALL {
        for (bytes, announced, expected) in
            [(1000, true, 200), (1000, false, 200), (1001, true, 413), (1001, false, 413), (100_000, false, 413)]
        {
            let mut client = site.connect(http).await;
            let status = upload(&mut client, bytes, announced).await;
            assert_eq!(status, expected, "{bytes} bytes, announced: {announced}, over {http:?}");
        }
    }
    let whole = site.origin(0).seen().into_iter().filter_map(|seen| seen.body_bytes).collect::<Vec<_>>();
    assert!(whole.iter().all(|bytes| *bytes == 1000), "{whole:?}");
    site.idle().await;
}

async fn upload(client: &mut Client, bytes: usize, announced: bool) -> u16 {
    let (feed, body) = Body::fed(announced.then_some(bytes as u64));
    tokio::spawn(async move {
        let mut rest = bytes;
        while rest > 0 && feed.send(vec![b'a'; rest.min(500)]).await {
            rest -= rest.min(500);
        }
    });
    let request = Request::post("/").body(body).expect("a request");
    client.send(request).await.unwrap_or_else(|error| panic!("{bytes} bytes: {error}")).status
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_others_stay() {
    let site = Site::new().set("listener.plain.limits.connections", 2).origin(Origin::echo()).start().await;
    let mut kept = [site.connect(Http::Plain).await, site.connect(Http::Plain).await];
    for client in &mut kept {
        assert_eq!(client.get("/").await.status, 200);
    }
    assert_eq!(site.raw(Http::Plain).await.read_to_end().await, b"");
    for client in &mut kept {
        assert_eq!(client.get("/").await.status, 200);
    }
    let refused = site.admin().metrics().await;
    let limit = [("listener", "plain"), ("reason", "limit")];
    assert!(refused.sum("palisade_connections_refused_total", &limit) >= 1.0);
    drop(kept);
    eventually("there is room again", async || {
        let client = site.dial(Http::Plain).connect().await;
        let Ok(mut client) = client else { return false };
        client.send(Request::get("/").body(Body::empty()).expect("a request")).await.is_ok()
    })
    .await;
}
