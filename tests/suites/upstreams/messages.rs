//! Requests and answers from every protocol to every protocol: what the endpoint gets, and what comes back.

use harness::http2::{DATA, END_HEADERS, HEADERS, RST_STREAM, SETTINGS, frame};
use harness::{Body, ClientError, Http, Origin, Running, Site, eventually};
use http::{HeaderMap, HeaderValue, Request};
use sha2::{Digest, Sha256};

use super::{failures, over_http2};

/// A host before each kind of endpoint.
async fn sites() -> [(&'static str, Running); 2] {
    [("h1", Site::new().origin(Origin::echo()).start().await), ("h2", over_http2(Origin::echo_over_http2(250)).await)]
}

#[tokio::test]
async fn a_request_has_the_form_of_its_endpoints_protocol() {
    for (protocol, site) in sites().await {
        for http in Http::ALL {
            let request = Request::post("/a%2Fb?c=d")
                // The one value that HTTP/2 knows (RFC 9113, section 8.2.2).
                .header("te", if http == Http::H2 { "trailers" } else { "deflate, trailers" })
                .header("x-kept", "1")
                .header("cookie", "a=1")
                .body(Body::from("body"))
                .expect("a request");
            let reply = site.connect(http).await.send(request).await.expect("an answer");
            assert_eq!(reply.status, 200, "{http:?} to {protocol}");
            let seen = site.origin(0).seen().pop().expect("a request");
            assert_eq!((seen.target.as_str(), seen.method.as_str()), ("/a%2Fb?c=d", "POST"));
            assert_eq!((seen.values("te"), seen.values("x-kept")), (vec!["trailers"], vec!["1"]));
            assert_eq!(seen.values("content-length"), ["4"], "{http:?} to {protocol}");
            let (authority, host, connection) = match protocol {
                "h1" => (None, vec![harness::HOST], vec!["te"]),
                _ => (Some(harness::HOST), vec![], vec![]),
            };
            assert_eq!(seen.authority.as_deref(), authority, "{http:?} to {protocol}");
            assert_eq!((seen.values("host"), seen.values("connection")), (host, connection), "{http:?} to {protocol}");
        }
    }
}

#[tokio::test]
async fn cookies_that_a_client_has_split_arrive_as_one() {
    for (protocol, site) in sites().await {
        let request = Request::get("/").header("cookie", "a=1").header("cookie", "b=2; c=3");
        let request = request.body(Body::empty()).expect("a request");
        site.connect(Http::H2).await.send(request).await.expect("an answer");
        let seen = site.origin(0).seen().pop().expect("a request");
        assert_eq!(seen.values("cookie"), ["a=1; b=2; c=3"], "{protocol}");
    }
}

#[tokio::test]
async fn bodies_arrive_whole_both_ways() {
    for (protocol, site) in sites().await {
        for http in Http::ALL {
            let mut client = site.connect(http).await;
            for (bytes, announced) in [(0, true), (1, true), (70_000, true), (70_000, false), (3_000_000, false)] {
                let content: Vec<u8> = (0_u32..bytes).map(|place| place.to_le_bytes()[(place % 3) as usize]).collect();
                let (feed, body) = Body::fed(announced.then_some(bytes.into()));
                let pieces: Vec<Vec<u8>> = content.chunks(9_999).map(Vec::from).collect();
                tokio::spawn(async move {
                    for piece in pieces {
                        feed.send(piece).await;
                    }
                });
                let request = Request::post("/stream").body(body).expect("a request");
                let reply = client.send(request).await.unwrap_or_else(|error| panic!("{http:?} {protocol}: {error}"));
                let case = format!("{bytes} bytes, announced: {announced}, {http:?} to {protocol}");
                assert!(Sha256::digest(&reply.body) == Sha256::digest(&content), "{case}");
            }
            for (path, length) in
                [("/bytes/1000000", Some("1000000")), ("/chunked/1000000", None), ("/bytes/0", Some("0"))]
            {
                let reply = client.get(path).await;
                assert_eq!(reply.header("content-length"), length, "{path}, {http:?} to {protocol}");
                assert_eq!(reply.body.len(), length.map_or(1_000_000, |length| length.parse().expect("a number")));
            }
            let head = Request::head("/bytes/1000").body(Body::empty()).expect("a request");
            let reply = client.send(head).await.expect("an answer");
            assert_eq!((reply.header("content-length"), reply.body.len()), (Some("1000"), 0), "{http:?} to {protocol}");
            for status in [204, 304, 404] {
                assert_eq!(client.get(&format!("/status/{status}")).await.status, status, "{http:?} to {protocol}");
            }
        }
        site.idle().await;
        assert_eq!(site.admin().metrics().await.count("palisade_upstream_failures_total", &[]), 0, "{protocol}");
    }
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    for (protocol, site) in sites().await {
        for http in Http::ALL {
            let (feed, body) = Body::fed(None);
            tokio::spawn(async move {
                feed.send("body").await;
                let mut trailers = HeaderMap::new();
                trailers.insert("x-sum", HeaderValue::from_static("42"));
                if http != Http::H2 {
                    // For this hop alone, and not for HTTP/2 at all.
                    trailers.insert("keep-alive", HeaderValue::from_static("timeout=1"));
                    trailers.insert("te", HeaderValue::from_static("deflate"));
                }
                feed.trailers(trailers).await;
            });
            let request = Request::post("/trailers").header("te", "trailers").header("trailer", "x-sum");
            let reply = site.connect(http).await.send(request.body(body).expect("a request")).await;
            let reply = reply.unwrap_or_else(|error| panic!("{http:?} to {protocol}: {error}"));
            assert_eq!(reply.text(), "with trailers");
            assert_eq!(reply.trailers.get("x-sum").expect("a trailer"), "42", "{http:?} to {protocol}");
            let seen = site.origin(0).seen().pop().expect("a request");
            assert_eq!(seen.body_bytes, Some(4), "{http:?} to {protocol}");
            let names: Vec<&str> = seen.trailers.keys().map(http::HeaderName::as_str).collect();
            assert_eq!(names, ["x-sum"], "{http:?} to {protocol}");
        }
    }
}

#[tokio::test]
async fn an_answer_may_come_before_the_end_of_its_request() {
    for (protocol, site) in sites().await {
        let (feed, body) = Body::fed(None);
        let mut client = site.connect(Http::H2).await;
        let request = Request::post("/stream").body(body).expect("a request");
        let response = client.open(request).await.unwrap_or_else(|error| panic!("{protocol}: {error}"));
        let mut incoming = response.into_body();
        for piece in ["one", "two", "three"] {
            assert!(feed.send(piece).await);
            let frame = http_body_util::BodyExt::frame(&mut incoming).await.expect("a frame").expect("a good one");
            assert_eq!(frame.into_data().expect("data"), piece, "{protocol}");
        }
        drop(feed);
        let rest = http_body_util::BodyExt::collect(incoming).await.expect("a good end");
        assert_eq!(rest.to_bytes(), "", "{protocol}");
        site.idle().await;
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_seen_to_and_hurts_no_other() {
    let site = over_http2(Origin::echo_over_http2(250)).await;
    let mut other = site.connect(Http::H2).await;
    let held = tokio::spawn(async move { other.get("/hold").await });
    let mut before_heads = 0;
    for path in ["/cut", "/cut-chunked"] {
        for bytes in [1, 1_000, 1_000_000] {
            for http in Http::ALL {
                let request = Request::get(format!("{path}/{bytes}")).body(Body::empty()).expect("a request");
                match site.connect(http).await.send(request).await {
                    // An end that comes so soon can overtake the head.
                    Err(ClientError::NoAnswer(_)) => {}
                    Err(ClientError::Truncated { status: 200, received, .. }) => assert!(received.len() <= bytes),
                    // On its way to the host as well: then there is no answer that could break off.
                    Ok(reply) if reply.status == 502 => before_heads += 1,
                    other => panic!("{path}/{bytes} {http:?}: {other:?}"),
                }
            }
        }
    }
    assert_eq!(failures(&site, "body").await + before_heads, 18);
    assert!(before_heads < 9, "most answers break off behind their heads");
    site.origin(0).release();
    assert_eq!(held.await.expect("a client that does not panic").status, 200);
    site.idle().await;
    eventually("all of them used one connection", async || site.origin(0).accepted() == 1).await;
}

#[tokio::test]
async fn an_upload_that_its_client_resets_without_an_error_is_not_whole() {
    for (protocol, site) in sites().await {
        let mut raw = site.raw(Http::H2).await;
        // `:method: POST`, `:scheme: https` and `:path: /` of the static table, and an `:authority` (RFC 7541, section 6).
        let length = u8::try_from(harness::HOST.len()).expect("a short name");
        let head = [&[0x83, 0x87, 0x84, 0x41, length][..], harness::HOST.as_bytes()].concat();
        raw.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        raw.send(
            [frame(SETTINGS, 0, 0, &[]), frame(HEADERS, END_HEADERS, 1, &head), frame(DATA, 0, 1, b"half")].concat(),
        )
        .await;
        eventually("the endpoint is asked", async || site.origin(0).seen().len() == 1).await;
        raw.send(frame(RST_STREAM, 0, 1, &[0; 4])).await;
        eventually("it is over", async || {
            site.admin().metrics().await.count("palisade_endings_total", &[("ending", "client-gone")]) == 1
        })
        .await;
        // What came first over the same connection was read first.
        assert_eq!(site.get("/").await.status, 200);
        site.idle().await;
        assert_eq!(site.origin(0).seen()[0].body_bytes, None, "{protocol}");
    }
}
