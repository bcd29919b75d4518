//! Exchanges and connections that are under way while everything changes.

use harness::{Body, Http, eventually};
use http::Request;
use http_body_util::BodyExt;

use super::{answers, module, numbered, rename, site, version, whole};

#[tokio::test]
async fn an_exchange_ends_on_the_version_that_it_began_with() {
    for http in Http::ALL {
        let site = site().start().await;
        let mut client = site.connect(http).await;
        let waiting = tokio::spawn(async move { (client.get("/hold").await, client) });
        eventually("the origin is asked", async || site.origin(0).seen().len() == 1).await;
        rename(&module(&site, "version"), version(&numbered(1)));
        answers(&site, &numbered(1)).await;
        site.origin(0).release();
        let (reply, mut client) = waiting.await.expect("an answer");
        let seen = site.origin(0).seen();
        assert_eq!(seen[0].values("x-version"), [numbered(0)]);
        assert_eq!(reply.header("x-version"), Some(numbered(0).as_str()), "{http:?}");
        // The same connection is served by the new version from its next request on.
        assert_eq!(whole(&client.get("/").await), numbered(1), "{http:?}");
    }
}

#[tokio::test]
async fn a_body_under_way_is_finished_whatever_changes() {
    for http in Http::ALL {
        let site = site().set("plugin.version.settings.marks_bodies", true).start().await;
        let mut client = site.connect(http).await;
        let request = Request::get("/hold-body/100000").body(Body::empty()).expect("a request");
        let response = client.open(request).await.expect("a head");
        assert_eq!(response.headers()["x-version"], numbered(0));
        for number in 1..=3 {
            rename(&module(&site, "version"), version(&numbered(number)));
            answers(&site, &numbered(number)).await;
        }
        let leases = site.admin().plugin("version").await.json()["leases"].clone();
        assert_eq!(leases, 1, "{http:?}");
        site.origin(0).release();
        let body = response.into_body().collect().await.expect("a whole body").to_bytes();
        let end = format!("\n={}", numbered(0));
        assert_eq!((body.len(), body.ends_with(end.as_bytes())), (200_000 + end.len(), true), "{http:?}");
        site.idle().await;
        eventually("the instance from before is gone", async || {
            site.admin().plugin("version").await.json()["instances"] == 1
        })
        .await;
    }
}

#[tokio::test]
async fn an_upload_under_way_is_finished_whatever_changes() {
    for http in Http::ALL {
        let site = site().start().await;
        let mut client = site.connect(http).await;
        let (feed, body) = Body::fed(None);
        let request = Request::post("/stream").body(body).expect("a request");
        let asking = tokio::spawn(async move { client.send(request).await });
        assert!(feed.send("one ").await);
        eventually("the origin is asked", async || site.origin(0).seen().len() == 1).await;
        rename(&module(&site, "version"), version(&numbered(1)));
        answers(&site, &numbered(1)).await;
        assert!(feed.send("two").await);
        drop(feed);
        let reply = asking.await.expect("a client").expect("an answer");
        assert_eq!((reply.text(), reply.header("x-version")), ("one two", Some(numbered(0).as_str())), "{http:?}");
    }
}
