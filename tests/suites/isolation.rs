//! `isolation`: what a plugin keeps of one exchange is there in the next one, or it is not.

use harness::{Body, Client, Form, Http, Origin, Reply, Running, Site, eventually};
use http::Request;
use serde_json::{Value, json};

#[tokio::test]
async fn an_instance_that_is_shared_tells_the_secret_of_another_exchange_and_an_own_one_never_does() {
    for form in Form::ALL {
        check_told("shared", ["none", "first", "second"], form).await;
        check_told("request", ["none"; 3], form).await;
    }
}

async fn check_told(isolation: &str, told: [&str; 3], form: Form) {
    for http in [Http::H1, Http::H2] {
        let site = Site::new()
            .form(form)
            .origin(Origin::echo())
            .plugin("remembers", "remembers", json!({}))
            .chain(&["remembers"]);
        let site = site.set("plugin.remembers.isolation", isolation).start().await;
        let mut client = site.connect(http).await;
        for (secret, told) in ["first", "second", "third"].into_iter().zip(told) {
            let reply = send(&mut client, "/", secret).await;
            assert_eq!(reply.header("x-last-secret"), Some(told), "{isolation} {form:?} {http:?}");
        }
    }
}

#[tokio::test]
async fn one_instance_serves_all_phases_of_an_exchange_and_no_other_exchange() {
    let large = json!({ "prefix": "x".repeat(8 << 10) });
    // As it is configured, from an image of that, and made outside of the pool, which has no room for such limits.
    for (settings, memory) in [(json!({}), "8 MiB"), (large, "8 MiB"), (json!({}), "64 MiB")] {
        let prefix = settings["prefix"].as_str().unwrap_or_default().to_owned();
        let site = carrying(settings).set("plugin.carries.limits.memory", memory).start().await;
        let first = site.connect(Http::H2).await;
        let (mut held, mut client) = (first.another(), first);
        let waiting = async { send(&mut held, "/hold", "held").await };
        let others = async {
            eventually("the first request is with its endpoint", async || !site.origin(0).seen().is_empty()).await;
            for number in 0..20 {
                let secret = format!("secret {number}");
                assert_carried(&send(&mut client, "/", &secret).await, &format!("{prefix}{secret}"));
            }
            assert_eq!(live(&site).await, 1, "only the exchange that is held has an instance");
            site.origin(0).release();
        };
        let (reply, ()) = tokio::join!(waiting, others);
        assert_carried(&reply, &format!("{prefix}held"));
        site.idle().await;
        assert_eq!(live(&site).await, 0);
    }
}

/// What the response says is what its own request brought, and the instance was called for nothing else.
fn assert_carried(reply: &Reply, expected: &str) {
    assert_eq!((reply.header("x-carried"), reply.header("x-calls")), (Some(expected), Some("2")));
}

#[tokio::test]
async fn an_exchange_beyond_the_limit_of_instances_fails_as_the_policy_says() {
    for (on_error, status) in [("closed", 503), ("open", 200)] {
        let site = carrying(json!({})).set("plugin.carries.on_error", on_error);
        let site = site.set("plugin.carries.limits.exchanges", 1).start().await;
        let first = site.connect(Http::H2).await;
        let (mut held, mut client) = (first.another(), first);
        let waiting = async { send(&mut held, "/hold", "held").await };
        let beyond = async {
            eventually("the first request is with its endpoint", async || !site.origin(0).seen().is_empty()).await;
            let reply = send(&mut client, "/", "beyond").await;
            site.origin(0).release();
            reply
        };
        let (reply, beyond) = tokio::join!(waiting, beyond);
        assert_carried(&reply, "held");
        assert_eq!((beyond.status, beyond.header("x-carried")), (status, None), "{on_error}");
        let figures = site.admin().plugin("carries").await;
        assert!(figures.last_error().ends_with("is not available: 1 exchanges have an instance of it already"));
        assert_carried(&send(&mut client, "/", "after").await, "after");
    }
}

#[tokio::test]
async fn a_client_that_leaves_takes_the_instance_of_its_exchange_along() {
    let site = carrying(json!({})).start().await;
    for http in [Http::H1, Http::H2] {
        let mut client = site.connect(http).await;
        let seen = site.origin(0).seen().len();
        let request = Request::get("/hold").body(Body::empty()).expect("a request");
        let left = tokio::spawn(async move { client.send(request).await });
        eventually("the request is with its endpoint", async || site.origin(0).seen().len() > seen).await;
        assert_eq!(live(&site).await, 1, "{http:?}");
        left.abort();
        eventually("the instance is gone", async || live(&site).await == 0).await;
    }
}

fn carrying(settings: Value) -> Site {
    let site = Site::new().origin(Origin::echo()).plugin("carries", "carries", settings).chain(&["carries"]);
    site.set("plugin.carries.isolation", "request")
}

async fn send(client: &mut Client, path: &str, secret: &str) -> Reply {
    let request = Request::get(path).header("x-secret", secret).body(Body::empty()).expect("a request");
    client.send(request).await.expect("an answer")
}

/// The instances of the plugin that are alive.
async fn live(site: &Running) -> u64 {
    site.admin().metrics().await.count("palisade_plugin_instances", &[("plugin", "carries")])
}
