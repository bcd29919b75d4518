//! What operators see of endpoints, and order.

use harness::{Body, Http, Origin, Running, Site, run_command};
use http::Request;

use super::{Moody, endpoint};

async fn ordered(site: &Running, order: &str, query: &str, guard: Option<&str>) -> (u16, String) {
    let request = Request::post(format!("/endpoints/{order}?{query}"));
    let request = guard.into_iter().fold(request, |request, guard| request.header("x-palisade-admin", guard));
    let reply = site.admin().connect().await.send(request.body(Body::empty()).expect("a request")).await;
    let reply = reply.expect("an answer");
    (reply.status, reply.text().to_owned())
}

#[tokio::test]
async fn a_drained_endpoint_gets_nothing_new_and_what_is_under_way_ends() {
    let (other, second) = Moody::new("other");
    let site = Site::new().origin(Origin::echo()).origin(second).start().await;
    let web = format!("upstream=web&endpoint={}", site.origin(0).address());
    // One that is held there.
    let mut clients = Vec::new();
    while site.origin(0).seen().iter().all(|seen| seen.target != "/hold") {
        let mut client = site.connect(Http::H1).await;
        clients.push(tokio::spawn(async move { client.get("/hold").await.status }));
        harness::eventually("it has come", async || site.origin(0).seen().len() + other.asked() >= clients.len()).await;
    }
    assert_eq!(ordered(&site, "drain", &web, None).await.0, 403);
    let (status, told) = ordered(&site, "drain", &web, Some("1")).await;
    assert_eq!((status, told.contains("drained by the operator")), (200, true));
    let before = site.origin(0).seen().len();
    let mut client = site.connect(Http::H2).await;
    for _ in 0..20 {
        assert_eq!(client.get("/").await.text(), "other");
    }
    assert_eq!(site.origin(0).seen().len(), before);
    let seen = endpoint(&site, 0).await;
    assert_eq!((seen["state"].as_str(), seen["in_flight"].as_u64()), (Some("draining"), Some(1)));
    // A reload changes nothing of it, as little as checks would.
    assert_eq!(site.admin().reload().await.0, 200);
    assert_eq!(endpoint(&site, 0).await["state"], "draining");
    site.origin(0).release();
    for client in clients {
        assert_eq!(client.await.expect("a client that does not panic"), 200);
    }
    assert_eq!(ordered(&site, "enable", &web, Some("1")).await.0, 200);
    harness::eventually("it is asked again", async || client.get("/").await.text() != "other").await;
}

#[tokio::test]
async fn an_order_for_nobody_says_so() {
    let site = Site::new().origin(Origin::echo()).start().await;
    for (query, status, told) in [
        ("upstream=web", 400, "expected ?upstream=NAME&endpoint=ADDRESS\n"),
        ("upstream=web&endpoint=here", 400, "\"here\" is not an address: expected one such as 10.0.1.11:8443\n"),
        ("upstream=db&endpoint=127.0.0.1:1", 404, "there is no upstream \"db\"\n"),
        ("upstream=web&endpoint=%5B::1%5D:1", 404, "upstream \"web\" has no endpoint [::1]:1\n"),
    ] {
        assert_eq!(ordered(&site, "drain", query, Some("1")).await, (status, told.to_owned()), "{query}");
    }
}

#[tokio::test]
async fn the_command_shows_endpoints_and_drains_one() {
    let mut site = Site::new().origin(Origin::echo()).start_process().await;
    let address = site.origin(0).address().to_string();
    let admin = site.admin().address().to_string();
    let folder = site.folder().path().to_owned();
    let ran = async |arguments: &[&str]| {
        let ended = run_command("palisade", &[&["endpoints"], arguments].concat(), &folder).await;
        (ended.code == Some(0), ended.stdout)
    };
    let (ok, text) = ran(&["--admin", &admin]).await;
    assert!(ok && text.contains(&address) && text.contains("healthy"), "{text}");
    let web = format!("web/{address}");
    let (ok, text) = ran(&["--admin", &admin, "--drain", &web]).await;
    assert!(ok && text.contains("drained by the operator"), "{text}");
    assert_eq!(site.get("/").await.status, 503);
    assert!(ran(&["--admin", &admin, "--enable", &web]).await.0);
    assert_eq!(site.get("/").await.status, 200);
    assert!(site.process().log().contains("an endpoint drains"));
}
