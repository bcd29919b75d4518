//! Requests and their answers over HTTP/3, through the chain of three.

use std::sync::Arc;

use harness::{Aioquic, Http, Origin, reply};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{chained, site, started};

#[tokio::test]
async fn requests_are_answered_through_the_chain() {
    let (site, client) = started(chained()).await;
    let answer = client.get("/a?b=c").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let seen = answer.json();
    assert_eq!((&seen["method"], &seen["target"]), (&json!("GET"), &json!("/a?b=c")));
    assert_eq!(seen["headers"]["via"], json!(["3 palisade"]));
    assert_eq!(seen["headers"]["host"], json!(["www.example.test"]));
    assert_eq!(seen["body_bytes"], 0);
    assert!(seen["headers"]["transfer-encoding"].is_null(), "no body is no body: {seen}");
    assert_eq!(client.get("/admin/x").await.status, 403);
    let post = client.request(("POST", "/post"), &[("content-length", "5")], json!({ "body": "68656c6c6f" })).await;
    let seen = reply(&post).json();
    assert_eq!((&seen["method"], &seen["body_bytes"]), (&json!("POST"), &json!(5)));
    assert_eq!(seen["headers"]["content-length"], json!(["5"]));
    let without = client.request(("POST", "/post"), &[], json!({ "pattern": 100_000 })).await;
    assert_eq!(reply(&without).json()["body_bytes"], 100_000);
    let head = client.request(("HEAD", "/bytes/1000"), &[], json!({})).await;
    assert_eq!((reply(&head).header("content-length"), &head["length"]), (Some("1000"), &json!(0)));
    let metrics = site.admin().metrics().await;
    assert_eq!(metrics.count("palisade_requests_total", &[("protocol", "h3"), ("class", "2xx")]), 4);
    assert_eq!(metrics.count("palisade_qps_requests_total", &[("class", "4xx")]), 1);
    site.idle().await;
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let (site, client) = started(site()).await;
    let fields = [("te", "trailers"), ("trailer", "x-sum")];
    let answer = client.request(("GET", "/trailers"), &fields, json!({})).await;
    assert_eq!(reply(&answer).trailers.get("x-sum").map(|sum| sum.as_bytes()), Some(&b"42"[..]), "{answer}");
    let sent = json!({ "pattern": 70_000, "trailers": [["x-sum", "7"]] });
    client.request(("POST", "/"), &fields, sent.clone()).await;
    assert_eq!(
        site.origin(0).seen().last().map(|seen| seen.trailers["x-sum"].clone()),
        Some("7".parse().expect("text"))
    );
    let site = super::site().set("upstream.web.protocol", "h2").origin(Origin::echo_over_http2(10)).start().await;
    let client = Arc::new(Aioquic::start()).connect(&site).await;
    let answer = client.request(("POST", "/stream"), &fields, sent).await;
    assert_eq!((&answer["length"], &reply(&answer).trailers["x-sum"]), (&json!(70_000), &"7".parse().expect("text")));
    site.idle().await;
}

#[tokio::test]
async fn early_hints_come_before_the_answer() {
    // The second and the answer come at once.
    let endpoint = crate::endpoint::serving(|mut stream| async move {
        let mut bytes = [0; 4096];
        let _ = stream.read(&mut bytes).await;
        let hint = |link| format!("HTTP/1.1 103 Early Hints\r\nlink: <{link}>; rel=preload\r\nset-cookie: a=b\r\n\r\n");
        let _ = stream.write_all(hint("/a.css").as_bytes()).await;
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let rest =
            format!("{}HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", hint("/b.css"));
        let _ = stream.write_all(rest.as_bytes()).await;
        let _ = stream.read(&mut bytes).await;
    })
    .await;
    let site = site().set("upstream.web.endpoints", json!([endpoint.to_string()])).start().await;
    let client = Arc::new(Aioquic::start()).connect(&site).await;
    let answer = client.request(("GET", "/"), &[], json!({})).await;
    assert_eq!((&answer["interim"], reply(&answer).status), (&json!([103, 103]), 200), "{answer}");
    let links = ["</a.css>; rel=preload", "</b.css>; rel=preload"].map(|link| json!([["link", link]]));
    assert_eq!(answer["hints"], json!(links), "{answer}");
    // Nobody is told of them who could not be, and the answer is the same.
    for http in Http::ALL {
        let answer = site.connect(http).await.get("/").await;
        assert_eq!((answer.status, answer.text()), (200, "ok"), "{http:?}");
    }
}

#[tokio::test]
async fn what_speaks_http_3_says_so_over_the_others() {
    let (site, client) = started(site()).await;
    let expected = format!("h3=\":{}\"; ma=86400", site.address("public").port());
    for http in [Http::H1, Http::H2] {
        let answer = site.connect(http).await.get("/").await;
        assert_eq!(answer.values("alt-svc"), [&expected], "{http:?}");
    }
    assert_eq!(client.get("/").await.values("alt-svc"), [&expected]);
    assert_eq!(site.connect(Http::Plain).await.get("/").await.header("alt-svc"), None);
    // Behind a mapping of ports, clients come to another one than the listener's.
    let site = super::site().set("listener.public.http3_port", 443).origin(Origin::echo()).start().await;
    let answer = site.connect(Http::H2).await.get("/").await;
    assert_eq!(answer.header("alt-svc"), Some("h3=\":443\"; ma=86400"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_mebibytes_pass_through_the_chain_each_way() {
    const BYTES: u64 = 50 << 20;
    let (site, client) = started(chained()).await;
    let down = client.request(("GET", &format!("/bytes/{BYTES}")), &[], json!({})).await;
    assert_eq!((&down["status"], &down["length"], &down["reset"]), (&json!(200), &json!(BYTES), &json!(null)));
    let up = client.request(("POST", "/up"), &[], json!({ "pattern": BYTES })).await;
    let seen = reply(&up).json();
    assert_eq!((&seen["body_bytes"], &seen["body_sha256"]), (&json!(BYTES), &down["sha256"]));
    site.idle().await;
}

#[tokio::test]
async fn leave_to_send_a_body_is_given_when_it_is_wanted() {
    let (site, client) = started(chained()).await;
    let fields = [("expect", "100-continue"), ("content-length", "5")];
    let waits = json!({ "wait": null, "goes_on": true });
    let asked = client.request(("POST", "/"), &fields, waits.clone()).await;
    let told = client.tell(json!({ "do": "interim", "stream": asked["stream"] })).await;
    assert_eq!((&told["interim"], &told["status"]), (&json!([100]), &json!(null)));
    client.tell(json!({ "do": "send", "stream": asked["stream"], "body": "68656c6c6f", "fin": true })).await;
    let answer = client.tell(json!({ "do": "answer", "stream": asked["stream"] })).await;
    assert_eq!(reply(&answer).json()["body_bytes"], 5);
    // What is refused is not asked for.
    let asked = client.request(("POST", "/admin"), &fields, waits).await;
    let answer = client.tell(json!({ "do": "answer", "stream": asked["stream"] })).await;
    assert_eq!((&answer["interim"], &answer["status"]), (&json!([]), &json!(403)));
    // Whoever has sent it already is told nothing.
    let sent = client.request(("POST", "/"), &fields, json!({ "body": "68656c6c6f" })).await;
    assert_eq!((&sent["interim"], &sent["status"]), (&json!([]), &json!(200)));
    site.idle().await;
}
