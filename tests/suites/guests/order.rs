//! What a chain does with its plugins: their order, the early reply, and what they keep.

use harness::{Form, Http, Origin, Running, Site};
use serde_json::json;

/// Three plugins that tag, in this order, with one more plugin in the middle where there is one.
async fn tagged(middle: Option<(&str, &str)>, form: Form) -> Running {
    let tag = |site: Site, name: &str| site.plugin(name, "tag", json!({ "name": name }));
    let site = ["a", "b", "c"].into_iter().fold(Site::new().form(form).origin(Origin::echo()), tag);
    match middle {
        None => site.chain(&["a", "b", "c"]),
        Some((name, module)) => site.plugin(name, module, json!({})).chain(&["a", "b", name, "c"]),
    }
    .start()
    .await
}

#[tokio::test]
async fn requests_pass_in_order_and_responses_in_reverse() {
    for form in Form::ALL {
        let site = tagged(None, form).await;
        for http in Http::ALL {
            let reply = site.connect(http).await.get("/").await;
            assert_eq!(reply.json()["headers"]["x-tag"], json!(["a", "b", "c"]), "{form:?} {http:?}");
            assert_eq!(reply.values("x-tag"), ["c", "b", "a"], "{form:?} {http:?}");
        }
    }
}

#[tokio::test]
async fn an_early_reply_passes_only_the_filters_it_had_reached() {
    let site = tagged(Some(("early", "reply")), Form::Module).await;
    for http in Http::ALL {
        let reply = site.connect(http).await.get("/").await;
        assert_eq!((reply.status, reply.values("x-tag")), (200, vec!["b", "a"]), "{http:?}");
    }
    assert_eq!(site.origin(0).seen(), []);
}

#[tokio::test]
async fn a_failure_passes_only_the_filters_it_had_reached() {
    let site = tagged(Some(("failing", "fails")), Form::Module).await;
    for http in Http::ALL {
        let reply = site.connect(http).await.get("/").await;
        assert_eq!((reply.status, reply.values("x-tag")), (503, vec!["b", "a"]), "{http:?}");
    }
    assert_eq!(site.origin(0).seen(), []);
}

#[tokio::test]
async fn a_reply_is_sent_as_the_plugin_prepared_it() {
    let settings = json!({ "status": 418, "headers": { "x-pot": "short" }, "body": "and stout" });
    let site = Site::new().plugin("teapot", "reply", settings).chain(&["teapot"]).origin(Origin::echo()).start().await;
    for http in Http::ALL {
        let reply = site.connect(http).await.get("/").await;
        assert_eq!((reply.status, reply.text(), reply.header("x-pot")), (418, "and stout", Some("short")), "{http:?}");
        assert_eq!(reply.header("content-length"), Some("9"), "{http:?}");
    }
}

#[tokio::test]
async fn a_shared_instance_remembers_and_another_plugin_of_the_module_does_not() {
    let site =
        Site::new().origin(Origin::echo()).plugin("one", "remembers", json!({})).plugin("two", "remembers", json!({}));
    let site =
        site.route(json!({ "path": "/one", "chain": ["one"] })).route(json!({ "path": "/two", "chain": ["two"] }));
    let site = site.start().await;
    let mut client = site.connect(Http::H1).await;
    for (path, secret, last) in
        [("/one", "x", "none"), ("/one", "y", "x"), ("/two", "z", "none"), ("/one", "", "y"), ("/two", "", "z")]
    {
        let request = http::Request::get(path).header("x-secret", secret).body(harness::Body::empty()).unwrap();
        let reply = client.send(request).await.unwrap();
        assert_eq!(reply.header("x-last-secret"), Some(last), "{path} {secret}");
    }
}
