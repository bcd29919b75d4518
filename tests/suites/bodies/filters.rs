//! What filters make of bodies, and what becomes of the messages around them.

use std::time::Duration;

use harness::{Body, ClientError, Http, Origin, Running, Site, eventually};
use http::{HeaderMap, HeaderValue, Request};
use serde_json::{Value, json};

/// A site whose plugin `a` reshapes bodies so.
fn reshaping(settings: Value) -> Site {
    Site::new().plugin("a", "reshape", settings).chain(&["a"]).origin(Origin::echo())
}

fn way(edit: &str, buffer: Option<u64>) -> Value {
    match buffer {
        Some(bytes_max) => json!({ "edit": edit, "buffer": bytes_max }),
        None => json!({ "edit": edit }),
    }
}

#[tokio::test]
async fn requests_announce_the_length_that_the_filters_leave() {
    for (way, bytes, length) in [
        (json!({ "edit": "read" }), "abcdef", Some("6")),
        (json!({ "edit": "upper" }), "ABCDEF", Some("6")),
        (json!({ "edit": "double" }), "aabbccddeeff", None),
        (json!({ "edit": "double", "buffer": 6 }), "aabbccddeeff", Some("12")),
        (json!({ "edit": "halve", "buffer": 6 }), "ace", Some("3")),
        (json!({ "edit": "double", "buffer": 5, "skips_over": true }), "abcdef", Some("6")),
    ] {
        let site = reshaping(json!({ "request": way })).start().await;
        for http in Http::ALL {
            let reply = site.connect(http).await.post("/stream", "abcdef").await;
            let seen = site.origin(0).seen().pop().expect("a request");
            assert_eq!((reply.status, reply.text()), (200, bytes), "{way} {http:?}");
            assert_eq!(seen.values("content-length").first().copied(), length, "{way} {http:?}");
            assert_eq!(seen.values("transfer-encoding").is_empty(), length.is_some(), "{way} {http:?}");
            let told = if way.get("buffer").is_some_and(|buffer| buffer == 6) { vec!["6"] } else { vec![] };
            assert_eq!(seen.values("x-body-bytes"), told, "{way} {http:?}");
        }
    }
}

#[tokio::test]
async fn responses_announce_the_length_that_the_filters_leave() {
    for (path, way, bytes, length) in [
        ("/bytes/1000", json!({ "edit": "read" }), 1_000, Some("1000")),
        ("/bytes/1000", json!({ "edit": "upper" }), 1_000, Some("1000")),
        ("/bytes/1000", json!({ "edit": "double" }), 2_000, None),
        ("/bytes/1000", json!({ "edit": "halve", "buffer": 1_000 }), 500, Some("500")),
        ("/chunked/1000", json!({ "edit": "halve", "buffer": 1_000 }), 500, Some("500")),
        ("/chunked/1001", json!({ "edit": "halve", "buffer": 1_000, "skips_over": true }), 1_001, None),
        ("/bytes/1001", json!({ "edit": "halve", "buffer": 1_000, "skips_over": true }), 1_001, Some("1001")),
        ("/bytes/0", json!({ "edit": "double", "buffer": 1_000 }), 0, Some("0")),
        ("/status/204", json!({ "edit": "double" }), 0, None),
    ] {
        let site = reshaping(json!({ "response": way })).start().await;
        for http in Http::ALL {
            let reply = site.connect(http).await.get(path).await;
            assert_eq!((reply.body.len(), reply.header("content-length")), (bytes, length), "{path} {way} {http:?}");
            // What is longer, and passes, was not asked about.
            let told = (length == Some("500")).then_some("1000");
            assert_eq!(reply.header("x-body-bytes"), told, "{path} {way} {http:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_to_head_does_not_announce_what_the_filters_would_make_of_it() {
    for (settings, length) in [(json!({}), None), (json!({ "response": { "edit": "double" } }), None)] {
        let site = reshaping(settings).start().await;
        for http in Http::ALL {
            let request = Request::head("/bytes/10").body(Body::empty()).expect("a request");
            let reply = site.connect(http).await.send(request).await.expect("an answer");
            assert_eq!((reply.status, reply.header("content-length"), reply.body.len()), (200, length, 0), "{http:?}");
        }
    }
}

#[tokio::test]
async fn a_body_that_is_longer_than_what_is_buffered_is_refused() {
    let whole = way("read", Some(5));
    let site = reshaping(json!({ "request": whole })).start().await;
    for http in Http::ALL {
        for announced in [Some(6), None] {
            let (feed, body) = Body::fed(announced);
            tokio::spawn(async move {
                let _ = feed.send("abc").await && feed.send("def").await;
            });
            let request = Request::post("/stream").body(body).expect("a request");
            let reply = site.connect(http).await.send(request).await.expect("an answer");
            assert_eq!(reply.status, 413, "{http:?} {announced:?}");
        }
    }
    assert!(site.origin(0).seen().is_empty(), "nothing of it was forwarded");
    let site = reshaping(json!({ "response": whole })).start().await;
    for http in Http::ALL {
        for (path, status) in [("/bytes/6", 502), ("/chunked/6", 502), ("/chunked/5", 200), ("/bytes/5", 200)] {
            assert_eq!(site.connect(http).await.get(path).await.status, status, "{path} {http:?}");
        }
    }
    // The operator's limit holds, whatever the plugin would buffer.
    let site = reshaping(json!({ "request": { "edit": "read", "buffer": 1_000_000 } }));
    let site = site.set("plugin.a.limits.body", "2 KiB").start().await;
    for (bytes, status) in [(2_048, 200), (2_049, 413)] {
        assert_eq!(site.connect(Http::H2).await.post("/", vec![b'a'; bytes]).await.status, status, "{bytes}");
    }
}

#[tokio::test]
async fn a_verdict_about_a_request_s_body_is_followed() {
    for buffer in [None, Some(100)] {
        let way = way("upper", buffer);
        let site = reshaping(json!({ "request": way })).start().await;
        // An origin that echoes answers before it has the body: what has begun would be broken off.
        for (path, text, status, told) in [
            ("/", "go !reply", 409, "no such words\n"),
            ("/", "go !fail", 503, "service unavailable\n"),
            ("/stream", "go !pass", 200, "GO !PASS"),
        ] {
            for http in Http::ALL {
                let reply = site.connect(http).await.post(path, text).await;
                assert_eq!((reply.status, reply.text()), (status, told), "{way} {text} {http:?}");
            }
        }
        for http in Http::ALL {
            let request = Request::post("/stream").body(Body::from("!close")).expect("a request");
            assert!(site.connect(http).await.send(request).await.is_err(), "{way} {http:?}");
            assert_eq!(site.connect(http).await.post("/stream", "next").await.text(), "NEXT", "{way} {http:?}");
        }
        // Of a body that is buffered nothing is forwarded before the verdict.
        let forwarded = site.origin(0).seen();
        assert!(buffer.is_none() || forwarded.iter().all(|seen| seen.target == "/stream"), "{forwarded:?}");
        forgets(&site).await;
        // What a trap leaves behind goes with the instance, and is counted down by nobody.
        for http in Http::ALL {
            assert_eq!(site.connect(http).await.post("/", "go !panic").await.status, 503, "{way} {http:?}");
        }
        assert_eq!(site.connect(Http::H2).await.post("/stream", "next").await.text(), "NEXT", "{way}");
    }
}

#[tokio::test]
async fn a_verdict_about_a_response_s_body_is_followed_and_what_has_begun_is_broken_off() {
    for (buffer, open) in [(None, false), (Some(100), false), (Some(100), true)] {
        let site = reshaping(json!({ "response": way("upper", buffer) }));
        let site = if open { site.set("plugin.a.on_error", "open") } else { site };
        let site = site.start().await;
        for (text, status) in [("!reply", 409), ("!fail", 503)] {
            for http in Http::ALL {
                let mut client = site.connect(http).await;
                let (feed, body) = Body::fed(None);
                let sends = async {
                    feed.send("begins ").await;
                    if buffer.is_none() {
                        // The head and the first piece are out before the rest is sent.
                        eventually("the first piece is answered", async || seen_by_filter(&site).await).await;
                    }
                    feed.send(text).await;
                    drop(feed);
                };
                let request = Request::post("/stream").body(body).expect("a request");
                let (reply, ()) = tokio::join!(client.send(request), sends);
                match (buffer, reply) {
                    (None, Err(ClientError::Truncated { received, .. })) => assert_eq!(received, "BEGINS "),
                    (Some(_), Ok(reply)) if open && status == 503 => {
                        assert_eq!((reply.status, reply.text()), (200, format!("begins {text}").as_str()));
                    }
                    (Some(_), Ok(reply)) => assert_eq!(reply.status, status, "{text} {http:?}"),
                    (_, reply) => panic!("{text} {http:?}: {reply:?}"),
                }
            }
        }
        forgets(&site).await;
    }
}

async fn seen_by_filter(site: &Running) -> bool {
    site.admin().metrics().await.sum("palisade_reshape_open", &[]) > 0.0
}

/// What a plugin keeps for a body goes with the body, however it ended.
async fn forgets(site: &Running) {
    eventually("nothing is kept for any body", async || {
        site.admin().metrics().await.sum("palisade_reshape_open", &[]) <= 0.0
    })
    .await;
}

async fn none(site: &Running, what: &str) {
    eventually(&format!("there are no {what}"), async || site.admin().plugin("a").await.json()[what] == 0).await;
}

#[tokio::test]
async fn a_client_that_leaves_in_its_body_is_forgotten() {
    for isolation in ["shared", "request"] {
        for buffer in [None, Some(1_000)] {
            let way = way("read", buffer);
            let site = reshaping(json!({ "request": way, "response": way })).set("plugin.a.isolation", isolation);
            let site = site.start().await;
            for http in Http::ALL {
                let mut client = site.connect(http).await;
                let (feed, body) = Body::fed(None);
                let request = Request::post("/stream").body(body).expect("a request");
                let asking = tokio::spawn(async move { client.send(request).await.map(drop) });
                assert!(feed.send("half of it").await);
                eventually("the filter has begun", async || seen_by_filter(&site).await).await;
                asking.abort();
                let _ = asking.await;
                // Of HTTP/2 the stream lasts as long as somebody could still send on it.
                feed.cut().await;
                match isolation {
                    "shared" => forgets(&site).await,
                    // With its instance goes everything that was kept, and the gauge stays as it was.
                    _ => none(&site, "instances").await,
                }
            }
            none(&site, "leases").await;
        }
    }
}

#[tokio::test]
async fn trailers_pass_filters_of_bodies() {
    for buffer in [None, Some(1_000)] {
        let way = way("double", buffer);
        let site = reshaping(json!({ "request": way, "response": way })).start().await;
        for http in Http::ALL {
            let request = Request::get("/trailers").header("te", "trailers").body(Body::empty()).expect("a request");
            let reply = site.connect(http).await.send(request).await.expect("an answer");
            // A response of a known length has no trailers over HTTP/1.1 (RFC 9112, section 6.2).
            let expected = (buffer.is_none() || http == Http::H2).then(|| HeaderValue::from_static("42"));
            assert_eq!(reply.trailers.get("x-sum"), expected.as_ref(), "{way} {http:?}");
            assert!(reply.text().starts_with("wwiitthh"), "{way} {http:?}");
        }
        if buffer.is_some() {
            continue;
        }
        for http in Http::ALL {
            let (feed, body) = Body::fed(None);
            tokio::spawn(async move {
                feed.send("body").await;
                let sum = ("x-sum".parse().expect("a name"), HeaderValue::from_static("42"));
                feed.trailers(HeaderMap::from_iter([sum])).await;
            });
            let request = Request::post("/").header("trailer", "x-sum").body(body).expect("a request");
            let reply = site.connect(http).await.send(request).await.expect("an answer");
            assert_eq!(reply.status, 200);
            let seen = site.origin(0).seen().pop().expect("a request");
            assert_eq!((seen.body_bytes, seen.trailers.get("x-sum")), (Some(8), Some(&HeaderValue::from_static("42"))));
        }
    }
}

#[tokio::test]
async fn a_filter_that_breaks_its_word_has_failed() {
    for (edit, reason) in [("lie", "absurd"), ("meddle", "reported")] {
        // An origin that echoes answers before it has the body: what has begun would be broken off.
        for (on_error, path, status) in [("closed", "/", 503), ("open", "/stream", 200)] {
            let site = reshaping(json!({ "request": { "edit": edit } })).set("plugin.a.on_error", on_error);
            let site = site.start().await;
            for http in Http::ALL {
                let reply = site.connect(http).await.post(path, "abc").await;
                assert_eq!(
                    (reply.status, reply.text() == "abc"),
                    (status, status == 200),
                    "{edit} {on_error} {http:?}"
                );
            }
            let figures = site.admin().plugin("a").await;
            assert_eq!(figures.failures("request-body-filter", reason), 3, "{}", figures.json());
        }
    }
}

#[tokio::test]
async fn leave_to_send_is_given_to_a_body_that_is_buffered() {
    let site = reshaping(json!({ "request": { "edit": "upper", "buffer": 100 } })).start().await;
    let mut raw = site.raw(Http::Plain).await;
    raw.send(
        "POST /stream HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert_eq!(raw.read_until("\r\n\r\n").await, b"HTTP/1.1 100 Continue\r\n\r\n");
    raw.send("hello").await;
    let answer = String::from_utf8(raw.read_to_end().await).expect("text");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("HELLO"), "{answer}");
}

#[tokio::test]
async fn bodies_are_buffered_up_to_a_limit_of_the_plugin_s_and_slowly_only_for_so_long() {
    let site = reshaping(json!({ "request": { "edit": "read", "buffer": 1_000_000 } }));
    let site = site.set("plugin.a.limits.bodies", "4 KiB").set("listener.plain.limits.body_timeout", "500ms");
    let site = site.start().await;
    let half = |bytes: usize| {
        let (feed, body) = Body::fed(None);
        (feed, vec![b'a'; bytes], Request::post("/").body(body).expect("a request"))
    };
    let (feed, bytes, request) = half(3_000);
    let mut client = site.connect(Http::H2).await;
    let asking = tokio::spawn(async move { client.send(request).await.map(|reply| reply.status) });
    feed.send(bytes).await;
    eventually("the first body is buffered", async || seen_by_filter(&site).await).await;
    eventually("there is no room for a second one", async || {
        site.connect(Http::H2).await.post("/", vec![b'a'; 3_000]).await.status == 503
    })
    .await;
    drop(feed);
    assert_eq!(asking.await.expect("it ends").ok(), Some(200));
    assert_eq!(site.connect(Http::H2).await.post("/", vec![b'a'; 3_000]).await.status, 200);
    // A client that stops in a body that is buffered is cut as in any other.
    let mut raw = site.raw(Http::Plain).await;
    raw.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nabc").await;
    tokio::time::timeout(Duration::from_secs(10), raw.read_to_end()).await.expect("the client is cut");
}
