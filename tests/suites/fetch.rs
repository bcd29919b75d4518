//! Plugins that ask upstreams before they decide, and the worker that serves others meanwhile.

use std::time::{Duration, Instant};

use harness::{Answer, Body, Http, LIMIT, Origin, Running, Site, eventually};
use http::Request;
use serde_json::{Value, json};

/// A site whose plugin `a` asks the upstream `auth`, which is this origin.
fn asking(settings: Value, auth: &Origin) -> Site {
    let mut settings = settings;
    if let Some(settings) = settings.as_object_mut() {
        settings.entry("upstream").or_insert(json!("auth"));
    }
    Site::new()
        .plugin("a", "asks", settings)
        .set("plugin.a.grant", json!(["metrics", { "fetch": ["auth"] }]))
        .set("upstream.auth.endpoints", json!([auth.address().to_string()]))
        .chain(&["a"])
        .origin(Origin::echo())
}

fn answering() -> Origin {
    Origin::answering(|seen| Answer::body(format!("{} {}", seen.method, seen.body_bytes.unwrap_or_default())))
}

#[tokio::test]
async fn an_answer_is_awaited_and_decides() {
    for isolation in ["shared", "request"] {
        for (settings, told) in
            [(json!({}), "GET 0"), (json!({ "times": 3 }), "GET 0"), (json!({ "body": "hello" }), "POST 5")]
        {
            let auth = answering();
            let site = asking(settings.clone(), &auth).set("plugin.a.isolation", isolation).start().await;
            for http in Http::ALL {
                let reply = site.connect(http).await.get("/x").await;
                assert_eq!(reply.json()["headers"]["x-answer"], json!([told]), "{settings} {http:?} {isolation}");
            }
            let asked = auth.seen();
            assert_eq!(asked.len(), 3 * settings["times"].as_u64().unwrap_or(1) as usize, "{settings}");
            assert!(asked.iter().all(|seen| seen.values("x-path") == ["/x"]), "{asked:?}");
            assert_eq!(asked[0].values("host"), [auth.address().to_string()]);
        }
    }
    let auth = Origin::answering(|_| Answer::status(403));
    let site = asking(json!({}), &auth).start().await;
    for http in Http::ALL {
        assert_eq!(site.connect(http).await.get("/").await.status, 403, "{http:?}");
    }
    assert!(site.origin(0).seen().is_empty());
}

#[tokio::test]
async fn a_worker_serves_others_while_a_thousand_requests_wait() {
    let auth = Origin::answering(|_| Answer::body("late").held());
    let site = thousand(&auth).await;
    let waiting = tokio::spawn(ask_all(site.connect(Http::H2).await));
    eventually("all of them wait", async || auth.seen().len() == 1_000).await;
    // The very worker that all of them wait on.
    let began = Instant::now();
    assert_eq!(site.connect(Http::H1).await.get("/plain").await.status, 200);
    println!("a plain request among a thousand that wait took {:?}", began.elapsed());
    auth.release();
    assert_eq!(waiting.await.expect("they end"), 1_000);
    eventually("none waits", async || waiting_now(&site).await <= 0.0).await;
}

#[tokio::test]
async fn waiting_takes_as_long_for_a_thousand_as_for_one() {
    let auth = Origin::answering(|_| Answer::body("late").after(Duration::from_millis(200)));
    let site = thousand(&auth).await;
    let began = Instant::now();
    assert_eq!(ask_all(site.connect(Http::H2).await).await, 1_000);
    let taken = began.elapsed();
    println!("a thousand requests that each wait 200 ms took {taken:?}");
    // One after the other they would take 200 s.
    assert!(taken < Duration::from_secs(20), "{taken:?}");
}

async fn thousand(auth: &Origin) -> Running {
    asking(json!({}), auth).set("listener.public.limits.streams", 1_000).start().await
}

/// How many of a thousand requests are answered with 200.
async fn ask_all(client: harness::Client) -> usize {
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let mut client = client.another();
        asking.spawn(async move { client.get("/").await.status });
    }
    asking.join_all().await.into_iter().filter(|status| *status == 200).count()
}

async fn waiting_now(site: &Running) -> f64 {
    site.admin().metrics().await.sum("palisade_asks_waiting", &[])
}

#[tokio::test]
async fn what_cannot_be_had_is_told_to_the_plugin() {
    let (auth, gone, big) = (answering(), answering(), Origin::answering(|_| Answer::body(vec![b'a'; 2_000])));
    let dead = gone.address();
    drop(gone);
    let held = Origin::answering(|_| Answer::body("never").held());
    let raw = Origin::raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
    for (settings, endpoint, told) in [
        (json!({ "upstream": "web" }), auth.address(), "the config does not grant requests to this upstream"),
        (json!({ "target": "no path" }), auth.address(), "not one that can be sent"),
        (json!({}), dead, "no endpoint of the upstream can be reached"),
        (json!({}), big.address(), "longer than the operator allows"),
        (json!({ "body": "a".repeat(2_000) }), auth.address(), "longer than the operator allows"),
        (json!({ "timeout": 50 }), held.address(), "the answer was not whole in time"),
        (json!({ "timeout": 60_000 }), held.address(), "the answer was not whole in time"),
        (json!({}), raw.address(), "the answer broke off"),
    ] {
        let site = asking(settings.clone(), &auth).set("upstream.auth.endpoints", json!([endpoint.to_string()]));
        let site = site.set("plugin.a.limits.fetch_body", "1 KiB").set("plugin.a.limits.fetch_timeout", "300ms");
        let site = site.start().await;
        for http in Http::ALL {
            let reply = site.connect(http).await.get("/").await;
            assert_eq!((reply.status, reply.text().contains(told)), (502, true), "{settings}: {}", reply.text());
        }
    }
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_the_plugin_may_have() {
    let auth = Origin::answering(|_| Answer::body("ok").held());
    let site = asking(json!({}), &auth).set("plugin.a.limits.fetches", 1).start().await;
    let mut first = site.connect(Http::H2).await;
    let first = tokio::spawn(async move { first.get("/").await.status });
    eventually("one waits", async || auth.seen().len() == 1).await;
    let reply = site.connect(Http::H2).await.get("/").await;
    assert_eq!(reply.text(), "as many requests as the plugin may have are under way");
    auth.release();
    assert_eq!(first.await.expect("it ends"), 200);
    assert_eq!(site.connect(Http::H2).await.get("/").await.status, 200);
}

#[tokio::test]
async fn a_client_that_leaves_gives_up_what_was_asked_for_it() {
    for isolation in ["shared", "request"] {
        let auth = Origin::answering(|_| Answer::body("never").held());
        let site = asking(json!({}), &auth).set("plugin.a.isolation", isolation).start().await;
        for http in Http::ALL {
            let mut client = site.connect(http).await;
            let asking = tokio::spawn(async move {
                let request = Request::get("/").body(Body::empty()).expect("a request");
                client.send(request).await.map(drop)
            });
            eventually("it waits", async || auth.connections() == 1).await;
            asking.abort();
            let _ = asking.await;
            eventually("the question is given up", async || auth.connections() == 0).await;
        }
        eventually("nothing is kept", async || {
            let figures = site.admin().plugin("a").await;
            figures.json()["leases"] == 0 && (isolation == "shared" || figures.json()["instances"] == 0)
        })
        .await;
        eventually("none waits", async || waiting_now(&site).await <= 0.0).await;
    }
}

#[tokio::test]
async fn the_policy_holds_for_a_plugin_that_fails_after_it_waited() {
    for (on_error, status) in [("closed", 503), ("open", 200)] {
        let auth = answering();
        let site = asking(json!({}), &auth).set("plugin.a.on_error", on_error).start().await;
        for http in Http::ALL {
            let reply = site.connect(http).await.get("/fail").await;
            assert_eq!(reply.status, status, "{on_error} {http:?}");
        }
        // What it changed before it failed is undone, though a wait lies between.
        let seen = site.origin(0).seen();
        assert_eq!(seen.len(), if status == 200 { 3 } else { 0 });
        assert!(seen.iter().all(|seen| seen.values("x-before").is_empty() && seen.values("x-answer").is_empty()));
        assert_eq!(site.admin().plugin("a").await.failures("request-filter", "reported"), 3);
    }
}

#[tokio::test]
async fn requests_that_wait_fail_with_the_instance_that_kept_them() {
    for (isolation, status) in [("shared", 503), ("request", 200)] {
        let auth = Origin::answering(|_| Answer::body("ok").held());
        let site = asking(json!({}), &auth).set("plugin.a.isolation", isolation).start().await;
        let mut waiting = site.connect(Http::H2).await;
        let waiting = tokio::spawn(async move { waiting.get("/").await.status });
        eventually("it waits", async || auth.seen().len() == 1).await;
        assert_eq!(site.connect(Http::H2).await.get("/panic").await.status, 503);
        auth.release();
        let found = tokio::time::timeout(LIMIT, waiting).await.expect("it ends").expect("it ends");
        assert_eq!(found, status, "{isolation}");
        assert_eq!(site.connect(Http::H2).await.get("/").await.status, 200, "the next one has a fresh instance");
    }
}

#[tokio::test]
async fn a_plugin_that_asks_for_requests_loads_only_with_the_grant() {
    let auth = answering();
    let site = asking(json!({}), &auth).set("plugin.a.grant", json!(["metrics"]));
    // An upstream that nobody uses is a warning, not an error.
    let site = site.with_problems().start().await;
    let figures = site.admin().plugin("a").await;
    assert!(
        figures.last_error().ends_with(
            "asks for the capability \"fetch\", which the config does not grant: add `grant = [{ fetch = [\"UPSTREAM\"] }]` to \
             [plugin.a] to allow it"
        ),
        "{}",
        figures.last_error()
    );
}
