//! The same requests over HTTP/1.1, HTTP/2 and HTTP/3 get the same answers, reach the endpoint as the same requests, and leave
//! the same lines in the access log, but for the protocol.

use std::collections::BTreeMap;
use std::sync::Arc;

use harness::{Aioquic, Answer, Body, Http, Origin, Quic, Reply, Running, Seen, eventually, reply};
use http::{HeaderMap, Request};
use serde_json::{Value, json};

use super::chained;

/// One request.
#[derive(Debug, Clone)]
struct Asked {
    method: &'static str,
    path: String,
    fields: Vec<(&'static str, String)>,
    body: usize,
}

/// Two hundred and more: methods, targets, fields and bodies of every kind, allowed and denied.
fn all() -> Vec<Asked> {
    let mut all = Vec::new();
    let mut ask = |method, path: &str, fields: &[(&'static str, &str)], body| {
        let fields = fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        all.push(Asked { method, path: path.to_owned(), fields, body });
    };
    for path in [
        "/",
        "/a",
        "/a/b?c=d",
        "/?",
        "/%41%2e",
        "/a//b",
        "/~a;b=c",
        "/admin",
        "/admin/x",
        "/adm",
        "/x/../admin",
        "/nowhere",
        "/very/long",
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE"] {
            ask(method, path, &[], 0);
        }
    }
    for bytes in [1, 100, 1_000, 16_384, 100_000] {
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            ask(method, "/body", &[("content-type", "application/octet-stream")], bytes);
        }
    }
    for status in [200, 201, 202, 204, 205, 206, 301, 302, 304, 400, 401, 403, 404, 409, 410, 418, 429, 500, 502, 503] {
        for method in ["GET", "HEAD", "POST"] {
            ask(method, &format!("/status/{status}"), &[], 0);
        }
    }
    for path in ["/bytes/0", "/bytes/1", "/bytes/65536", "/trailers"] {
        ask("GET", path, &[], 0);
        ask("HEAD", path, &[], 0);
    }
    ask("GET", "/trailers", &[("te", "trailers")], 0);
    for (name, value) in [
        ("cookie", "a=1; b=2"),
        ("accept", "text/html, */*;q=0.1"),
        ("authorization", "Basic YTpi"),
        ("x-empty", ""),
        ("x-long", &"v".repeat(5_000)),
        ("x-forwarded-for", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6"),
        ("via", "1.0 somewhere"),
        ("if-none-match", "\"a\""),
        ("range", "bytes=0-4"),
        ("user-agent", "a/1 (b; c)"),
        ("content-type", "text/plain; charset=utf-8"),
    ] {
        ask("GET", "/fields", &[(name, value)], 0);
    }
    ask("GET", &format!("/{}", "l".repeat(4_000)), &[], 0);
    ask("GET", &format!("/{}", "l".repeat(9_000)), &[], 0);
    ask("GET", "/fields", &[("x-twice", "1"), ("x-twice", "2")], 0);
    all
}

/// Everything of an answer that is to be the same: what is for one hop or one moment alone is not.
fn told(reply: &Reply) -> (u16, BTreeMap<String, Vec<String>>, Vec<u8>, HeaderMap) {
    let mut headers = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in &reply.headers {
        let value = if name == "date" { "a date".to_owned() } else { value.to_str().expect("text").to_owned() };
        headers.entry(name.to_string()).or_default().push(value);
    }
    for name in ["connection", "transfer-encoding", "keep-alive"] {
        headers.remove(name);
    }
    (reply.status, headers, reply.body.to_vec(), reply.trailers.clone())
}

/// Says what it was asked, but for the protocol that the host was asked in.
fn answer(seen: &Seen) -> Answer {
    let number = seen.target.rsplit('/').next().and_then(|number| number.parse::<u16>().ok());
    match number {
        Some(status) if seen.target.starts_with("/status/") => return Answer::status(status).header("x-told", "1"),
        Some(bytes) if seen.target.starts_with("/bytes/") => return Answer::body(pattern(bytes.into())),
        _ if seen.target == "/trailers" => return Answer::body("with trailers").trailer("x-sum", "42"),
        _ => {}
    }
    let names = seen.headers.keys().filter(|name| *name != "via");
    let fields: Vec<Value> = names.map(|name| json!([name.as_str(), seen.values(name.as_str())])).collect();
    let told = json!([seen.method, seen.target, fields, seen.body_bytes, seen.body_sha256]);
    Answer::body(told.to_string()).header("content-type", "application/json").header("set-cookie", "a=b")
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|place| u8::try_from(place % 251).expect("small")).collect()
}

async fn over_hyper(site: &Running, http: Http, all: &[Asked]) -> Vec<Reply> {
    let mut client = site.connect(http).await;
    let mut replies = Vec::new();
    for asked in all {
        let mut request = Request::builder().method(asked.method).uri(&asked.path);
        for (name, value) in &asked.fields {
            request = request.header(*name, value);
        }
        let body = if asked.body == 0 { Body::empty() } else { Body::from(pattern(asked.body)) };
        let sent = client.send(request.body(body).expect("a request")).await;
        let reply = sent.unwrap_or_else(|error| panic!("{http:?} {asked:?}: {error}"));
        if reply.header("connection") == Some("close") {
            client = site.connect(http).await;
        }
        replies.push(reply);
    }
    replies
}

async fn over_quic(client: &Quic, all: &[Asked]) -> Vec<Reply> {
    let mut replies = Vec::new();
    for asked in all {
        let length = asked.body.to_string();
        let mut fields: Vec<(&str, &str)> = asked.fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if asked.body > 0 {
            fields.push(("content-length", &length));
        }
        let answer = client.request((asked.method, &asked.path), &fields, json!({ "pattern": asked.body })).await;
        replies.push(reply(&answer));
    }
    replies
}

/// The lines of the access log since the last time, without what is different in every one of them.
fn lines(log: &str) -> Vec<Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut lines: Vec<Value> = lines.filter(|line| line["target"] == "access").collect();
    for line in &mut lines {
        for name in ["timestamp", "duration_micros", "first_byte_micros", "protocol"] {
            line[name] = Value::Null;
        }
    }
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_the_same_in_every_protocol() {
    let all = all();
    assert!(all.len() >= 200, "{}", all.len());
    let mut site = chained().origin(Origin::answering(answer)).start_process().await;
    let program = Arc::new(Aioquic::start());
    let quic = program.connect(&site).await;
    let mut told_by = Vec::new();
    let mut logged = Vec::new();
    let mut before = 0;
    for protocol in ["h1", "h2", "h3"] {
        let replies = match protocol {
            "h1" => over_hyper(&site, Http::H1, &all).await,
            "h2" => over_hyper(&site, Http::H2, &all).await,
            _ => over_quic(&quic, &all).await,
        };
        site.idle().await;
        let mut new = Vec::new();
        eventually("all of it is in the log", async || {
            new = lines(&site.process().log()).split_off(before);
            new.len() == all.len()
        })
        .await;
        before += new.len();
        told_by.push(replies);
        logged.push(new);
    }
    let mut differences = Vec::new();
    for (index, asked) in all.iter().enumerate() {
        for (protocol, replies) in ["h2", "h3"].into_iter().zip(&told_by[1..]) {
            let (expected, found) = (told(&told_by[0][index]), told(&replies[index]));
            if expected != found {
                differences.push(format!("{protocol} {asked:?}: {expected:?} and {found:?}"));
            }
        }
        for (protocol, lines) in ["h2", "h3"].into_iter().zip(&logged[1..]) {
            if logged[0][index] != lines[index] {
                differences.push(format!("{protocol} {asked:?}: {} and {}", logged[0][index], lines[index]));
            }
        }
    }
    assert!(
        differences.is_empty(),
        "{} differences: {:#?}",
        differences.len(),
        differences.iter().take(12).collect::<Vec<_>>()
    );
    let statuses: std::collections::BTreeSet<u16> = told_by[0].iter().map(|reply| reply.status).collect();
    assert!(statuses.contains(&403) && statuses.contains(&200) && statuses.len() > 15, "{statuses:?}");
}

#[tokio::test]
async fn an_endpoints_own_alternative_goes_no_further() {
    let origin = Origin::answering(|_| Answer::status(200).header("alt-svc", "h3=\":1\""));
    let site = super::site().origin(origin).start().await;
    let expected = format!("h3=\":{}\"; ma=86400", site.address("public").port());
    let answer = Arc::new(Aioquic::start()).connect(&site).await.get("/").await;
    assert_eq!(answer.values("alt-svc"), [&expected]);
    assert_eq!(site.connect(Http::H1).await.get("/").await.values("alt-svc"), [&expected]);
}
