//! Routes with several upstreams: how many requests go to each, and whose.

use harness::{Answer, Body, Http, Origin, Running, Site};
use http::Request;
use serde_json::{Value, json};

struct Split {
    site: Running,
    canary: Origin,
}

impl Split {
    async fn new(sticky: Value) -> Self {
        let canary = Origin::answering(|_| Answer::body("canary"));
        let mut route = json!({ "upstream": [{ "name": "web", "weight": 95 }, { "name": "canary", "weight": 5 }] });
        if let (Some(route), false) = (route.as_object_mut(), sticky.is_null()) {
            route.insert("sticky".into(), sticky);
        }
        let site = Site::new()
            .set("workers", 2)
            .set("upstream.canary", json!({ "endpoints": [canary.address().to_string()] }))
            .route(route)
            .origin(Origin::answering(|_| Answer::body("web")))
            .start()
            .await;
        Self { site, canary }
    }

    fn canaries(&self) -> usize {
        self.canary.seen().len()
    }
}

/// Which of the two has answered, and what it is to bring next time.
async fn ask(client: &mut harness::Client, cookie: Option<&str>) -> (String, Option<String>) {
    let mut request = Request::get("/");
    if let Some(cookie) = cookie {
        request = request.header("cookie", format!("other=1; {cookie}"));
    }
    let reply = client.send(request.body(Body::empty()).expect("a request")).await.expect("an answer");
    assert_eq!(reply.status, 200);
    let cookie = reply.header("set-cookie").map(|cookie| cookie.split(';').next().unwrap_or_default().to_owned());
    (reply.text().to_owned(), cookie)
}

#[tokio::test]
async fn requests_go_to_their_upstreams_in_the_shares_that_are_written() {
    let split = Split::new(Value::Null).await;
    let client = split.site.connect(Http::H2).await;
    let clients = (0..50).map(|_| {
        let mut client = client.another();
        tokio::spawn(async move {
            for _ in 0..200 {
                assert_eq!(ask(&mut client, None).await.1, None);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.expect("a client that does not panic");
    }
    assert_eq!(split.site.origin(0).seen().len() + split.canaries(), 10_000);
    // 500 expected; 110 are five times what they scatter by.
    assert!((390..=610).contains(&split.canaries()), "{}", split.canaries());
}

#[tokio::test]
async fn a_client_with_a_cookie_stays_where_it_is() {
    let split = Split::new(json!({ "cookie": "version", "max_age": "1h" })).await;
    let mut cookies: Vec<(String, String)> = Vec::new();
    for http in Http::ALL {
        let mut client = split.site.connect(http).await;
        for _ in 0..100 {
            let (upstream, cookie) = ask(&mut client, None).await;
            cookies.push((upstream, cookie.expect("a cookie")));
        }
    }
    assert!((1..60).contains(&split.canaries()), "{} of 300", split.canaries());
    // One more of each, on other connections and over other protocols, before and after a reload that changes something else.
    for _ in 0..2 {
        let mut client = split.site.connect(Http::H2).await;
        for (upstream, cookie) in &cookies {
            assert_eq!(ask(&mut client, Some(cookie)).await, (upstream.clone(), None), "{cookie}");
        }
        let file = split.site.folder().path().join("palisade.toml");
        let text = std::fs::read_to_string(&file).expect("a config").replace("drain = \"5s\"", "drain = \"6s\"");
        std::fs::write(&file, text).expect("a config");
        assert_eq!(split.site.admin().reload().await.0, 200);
    }
    // What nobody has set is nobody's.
    let (_, cookie) = ask(&mut split.site.connect(Http::H1).await, Some("version=canary")).await;
    assert!(cookie.is_some());
    let reply = split.site.get("/").await;
    let header = reply.header("set-cookie").unwrap_or_default();
    assert!(header.ends_with("; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure"), "{header}");
    let reply = split.site.connect(Http::Plain).await.get("/").await;
    assert!(reply.header("set-cookie").unwrap_or_default().ends_with("; HttpOnly; SameSite=Lax"));
}

#[tokio::test]
async fn a_client_of_an_address_stays_where_it_is() {
    let split = Split::new(json!("client")).await;
    let mut upstreams = Vec::new();
    for host in 1..=200_u8 {
        let mut own = Vec::new();
        for http in [Http::Plain, Http::H1] {
            let client = split.site.dial(http).from([127, 0, 1, host]).connect().await;
            let mut client = client.expect("a connection");
            for _ in 0..2 {
                own.push(ask(&mut client, None).await);
            }
        }
        assert!(own.iter().all(|one| *one == (own[0].0.clone(), None)), "127.0.1.{host}: {own:?}");
        upstreams.push(own.swap_remove(0).0);
    }
    let canaries = upstreams.iter().filter(|upstream| *upstream == "canary").count();
    assert!((1..=30).contains(&canaries), "{canaries} of 200");
}
