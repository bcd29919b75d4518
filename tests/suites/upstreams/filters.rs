//! Filters of heads and bodies are the same whatever the endpoint speaks.

use harness::{Body, Http, Origin, Running};
use http::{HeaderMap, HeaderValue, Request};
use serde_json::json;

use super::described;

/// A chain for each way of filtering, in front of an origin that sends back what it gets.
async fn site() -> Running {
    let mut site = described(Origin::echo_over_http2(250)).plugin("tag", "tag", json!({ "name": "a" }));
    for (name, request, response) in [
        ("double", json!({ "edit": "double" }), json!({ "edit": "upper" })),
        ("whole", json!({ "edit": "halve", "buffer": 8 << 20 }), json!({ "edit": "double", "buffer": 8 << 20 })),
    ] {
        site = site
            .plugin(name, "reshape", json!({ "request": request, "response": response }))
            .set(&format!("plugin.{name}.limits.body"), "8 MiB")
            .set(&format!("plugin.{name}.limits.memory"), "256 MiB")
            .route(json!({ "path": format!("/{name}"), "chain": ["tag", name] }));
    }
    site.start().await
}

#[tokio::test]
async fn bodies_pass_their_filters_with_the_trailers_behind() {
    let site = site().await;
    for http in Http::ALL {
        for (chain, bytes, pieces) in [
            ("double", 10, 1),
            ("double", 100_000, 9_999),
            ("double", 0, 1),
            ("whole", 11, 2),
            ("whole", 1_000_001, 70_000),
        ] {
            let content: Vec<u8> = (0_u32..bytes).map(|place| b'a' + place.to_le_bytes()[0] % 26).collect();
            let (feed, body) = Body::fed(None);
            let chunks: Vec<Vec<u8>> = content.chunks(pieces).map(Vec::from).collect();
            tokio::spawn(async move {
                for chunk in chunks {
                    feed.send(chunk).await;
                }
                feed.trailers(HeaderMap::from_iter([(
                    "x-sum".parse().expect("a name"),
                    HeaderValue::from_static("42"),
                )]))
                .await;
            });
            let request = Request::post(format!("/{chain}/stream")).header("te", "trailers").body(body);
            let reply = site.connect(http).await.send(request.expect("a request")).await;
            let reply = reply.unwrap_or_else(|error| panic!("{bytes} bytes, {chain} over {http:?}: {error}"));
            let expected: Vec<u8> = match chain {
                "double" => content.iter().flat_map(|byte| [*byte; 2]).map(|byte| byte.to_ascii_uppercase()).collect(),
                _ => content.iter().step_by(2).flat_map(|byte| [*byte; 2]).collect(),
            };
            assert!(reply.body == expected, "{bytes} bytes, {chain} over {http:?}: {}", reply.body.len());
            assert_eq!(reply.values("x-tag"), ["a"]);
            if http == Http::H2 {
                assert_eq!(reply.trailers.get("x-sum").expect("a trailer"), "42", "{chain}, {bytes} bytes");
            }
        }
    }
    site.idle().await;
    assert_eq!(site.origin(0).accepted(), 1);
}

#[tokio::test]
async fn what_a_filter_says_in_the_middle_of_a_body_resets_that_stream_alone() {
    let site = site().await;
    for (http, number) in Http::ALL.into_iter().zip(1..) {
        let (feed, body) = Body::fed(None);
        let mut client = site.connect(http).await;
        let request = Request::post("/double").body(body).expect("a request");
        let asking = tokio::spawn(async move { client.send(request).await });
        assert!(feed.send("some words").await);
        harness::eventually("the endpoint is asked", async || site.origin(0).seen().len() == number).await;
        assert!(feed.send("!reply").await);
        let reply = asking.await.expect("a client that does not panic").expect("the plugin's reply");
        // A plugin's reply passes the response's filters as any other answer.
        assert_eq!((reply.status, reply.text()), (409, "NO SUCH WORDS\n"), "{http:?}");
    }
    assert!(site.origin(0).seen().iter().all(|seen| seen.body_bytes.is_none()), "{:?}", site.origin(0).seen());
    assert_eq!(site.get("/whole").await.status, 200);
    assert_eq!(site.origin(0).accepted(), 1);
}
