//! `palisade explain`: what one request met, told by the host that served it.

use harness::{Body, Ended, Http, Origin, Running, Site, run_command};
use serde_json::{Value, json};

/// A site whose chain is a firewall, a plugin that tags, one in shadow that would refuse, a balancer and an observer.
fn site() -> Site {
    let wall = json!({ "rules": [{ "name": "admin", "action": "deny", "when": { "path_prefix": "/admin" } }] });
    let chain = json!(["wall", "tag", { "plugin": "new", "mode": "shadow" }, "balance", "qps"]);
    Site::new()
        .origin(Origin::echo())
        .origin(Origin::echo())
        .plugin("wall", "firewall", wall)
        .plugin("tag", "tag", json!({ "name": "seen" }))
        .plugin("new", "reply", json!({}))
        .plugin("balance", "balance", json!({}))
        .plugin("qps", "qps", json!({ "labels": [] }))
        .set("listener.public.chain", chain.clone())
        .set("listener.plain.chain", chain)
}

async fn explain(site: &Running, arguments: &[&str]) -> Ended {
    let admin = site.admin().address().to_string();
    let arguments = [&["explain", "--admin", &admin], arguments].concat();
    run_command("palisade", &arguments, site.folder().path()).await
}

async fn explained(site: &Running, arguments: &[&str]) -> Value {
    let ended = explain(site, &[&["--json"], arguments].concat()).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).expect("JSON")
}

/// Stage, plugin and decision of every step, and what it changed.
fn steps(report: &Value) -> Vec<String> {
    let steps = report["steps"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let step = |step: &Value| {
        let shadow = if step["in_shadow"] == true { " in shadow" } else { "" };
        let changes = step["changes"].as_array().into_iter().flatten().map(|change| format!(" {}", text(change)));
        let decision = text(&step["decision"]);
        format!("{} {}{shadow}: {decision}{}", text(&step["stage"]), text(&step["plugin"]), changes.collect::<String>())
    };
    steps.map(step).collect()
}

#[tokio::test]
async fn every_call_is_told_in_order_with_its_decision_its_changes_and_its_time() {
    let site = site().start().await;
    let address = site.origin(0).address();
    let report = explained(&site, &["https://www.example.test/a?b", "-H", "x-own: 1"]).await;
    let picked = report["endpoint"].as_str().unwrap_or_default().to_owned();
    let expected = [
        "request-filter wall: proceed".to_owned(),
        "request-filter tag: proceed + x-tag: seen".into(),
        "request-filter new in shadow: reply 200".into(),
        format!("balancer balance: {picked}"),
        format!("connection -: a new one to {picked}"),
        "answer -: 200 OK from the endpoint".into(),
    ];
    let found = steps(&report);
    assert_eq!(found.get(..expected.len()), Some(&expected[..]), "{found:?}");
    assert!(found.contains(&"response-filter tag: proceed + x-tag: seen".to_owned()), "{found:?}");
    let candidates = report["steps"][3]["candidates"].as_array().expect("candidates");
    assert_eq!(candidates.len(), 2);
    assert!(candidates.iter().any(|candidate| candidate["endpoint"] == json!(address.to_string())));
    let timed = report["steps"].as_array().into_iter().flatten().filter(|step| step["plugin"].is_string());
    assert!(timed.into_iter().all(|step| step["micros"].as_f64().is_some_and(|micros| micros > 0.0)));
    let told = ["listener", "upstream", "method", "authority", "target", "ending", "status"];
    let told = told.map(|key| report[key].clone());
    let expected = json!(["public", "web", "GET", "www.example.test", "/a?b", "complete", 200]);
    assert_eq!(json!(told), expected);
    assert_eq!((&report["accepted_by"], &report["observed_by"]), (&json!(["wall"]), &json!(["qps"])));
    // Nobody but the host has seen the token, and the request was one like any other.
    let seen = [site.origin(0).seen(), site.origin(1).seen()].concat();
    assert_eq!(seen.len(), 1);
    assert!(!format!("{seen:?}").contains("x-palisade-explain") && format!("{seen:?}").contains("x-own"));
}

#[tokio::test]
async fn an_answer_of_a_plugin_and_a_failure_say_whose_they_are() {
    let site = site().start().await;
    let denied = explained(&site, &["http://www.example.test/admin", "-X", "DELETE"]).await;
    assert_eq!(json!([denied["status"], denied["decided_by"], denied["method"]]), json!([403, "wall", "DELETE"]));
    assert_eq!(steps(&denied).first().map(String::as_str), Some("request-filter wall: reply 403"));
    drop(site);

    let failing = Site::new().origin(Origin::echo()).plugin("bad", "fails", json!({})).chain(&["bad"]).start().await;
    let refused = explained(&failing, &["http://www.example.test/"]).await;
    let expected =
        "request-filter bad: failed: this plugin always fails: the exchange is refused (on_error = \"closed\")";
    assert_eq!((steps(&refused).first().map(String::as_str), &refused["status"]), (Some(expected), &json!(503)));
    let malformed = explained(&failing, &["http://www.example.test/", "-H", "host: a b"]).await;
    assert_eq!((&malformed["status"], steps(&malformed)), (&json!(400), vec![]));
    assert!(malformed["error"].is_string());
}

#[tokio::test]
async fn bodies_are_told_by_their_pieces() {
    let site =
        Site::new().origin(Origin::echo()).plugin("shape", "reshape", json!({ "request": { "edit": "double" } }));
    let site = site.chain(&["shape"]).start().await;
    let report = explained(&site, &["https://www.example.test/", "-X", "POST", "-d", "hello"]).await;
    let body = report["steps"].as_array().into_iter().flatten().find(|step| step["stage"] == "request-body-filter");
    let body = body.unwrap_or_else(|| panic!("{report}"));
    assert_eq!((&body["body"]["bytes_in"], &body["body"]["bytes_out"]), (&json!(5), &json!(10)));
}

#[tokio::test]
async fn a_reader_in_a_terminal_is_shown_lines() {
    let site = site().start().await;
    let ended = explain(&site, &["https://www.example.test/a"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for line in [
        "GET www.example.test/a, http/1.1 from 127.0.0.1",
        "connection-filter     wall               accepted the connection",
        "request-filter        wall               proceed (",
        "+ x-tag: seen",
        "request-filter        new (shadow)       reply 200 (",
        ": weight 1, healthy, untried, 0 in flight, latency unknown, 0 failures in a row",
        "observer              qps                was told",
        "\n200, complete, ",
    ] {
        assert!(ended.stdout.contains(line), "{line:?} in {}", ended.stdout);
    }
}

#[tokio::test]
async fn a_token_is_the_admin_sides_to_give_and_good_for_one_request() {
    let site = site().start().await;
    let arm = |guard: &str| {
        let request = http::Request::post("/explain").header("x-palisade-admin", guard).body(Body::empty());
        let admin = site.admin();
        async move { admin.connect().await.send(request.expect("a request")).await.expect("an answer") }
    };
    assert_eq!(arm("0").await.status, 403);
    let token = arm("1").await.json()["token"].as_str().expect("a token").to_owned();
    let ask = async |token: &str| {
        let request = http::Request::get("/a").header("x-palisade-explain", token).header("host", harness::HOST);
        let mut client = site.connect(Http::Plain).await;
        client.send(request.body(Body::empty()).expect("a request")).await.expect("an answer").status
    };
    // What was not given out is a header like any other.
    assert_eq!(ask("0123456789abcdef0123456789abcdef").await, 200);
    assert_eq!((ask(&token).await, ask(&token).await), (200, 200));
    let path = format!("/explain/{token}");
    assert_eq!(site.admin().get(&path).await.json()["target"], json!("/a"));
    let gone = site.admin().get(&path).await;
    assert_eq!(gone.status, 404);
    assert!(gone.text().starts_with("no such token"), "{}", gone.text());
    let seen = [site.origin(0).seen(), site.origin(1).seen()].concat();
    assert_eq!(format!("{seen:?}").matches("x-palisade-explain").count(), 2, "the wrong one and the used one");
}

#[tokio::test]
async fn what_cannot_be_explained_is_a_sentence() {
    let site = site().start().await;
    let no = explain(&site, &["ftp://www.example.test/"]).await;
    assert_eq!(no.code, Some(1));
    assert!(no.stderr.contains("expected one that begins with https:// or http://"), "{}", no.stderr);
    let nobody =
        run_command("palisade", &["explain", "--admin", "127.0.0.1:1", "http://a/"], site.folder().path()).await;
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.stderr.contains("no host answers at 127.0.0.1:1"), "{}", nobody.stderr);
    let elsewhere = explain(&site, &["http://a/", "--connect", "127.0.0.1:1"]).await;
    assert_eq!(elsewhere.code, Some(1));
    assert!(elsewhere.stderr.contains("127.0.0.1:1 has not let the request come to its chain"), "{}", elsewhere.stderr);
}
