//! How the host ends: it says so, finishes what is under way, and is gone.

use std::net::TcpListener;

use harness::{Body, Client, Http, Origin, Running, Site, eventually, run_command};
use http::{Request, Version};

#[tokio::test]
async fn a_request_under_way_is_finished_and_the_host_ends_well() {
    for signal in ["TERM", "INT"] {
        for http in Http::ALL {
            let mut site = Site::new().origin(Origin::echo()).start_process().await;
            let waiting = held(&site, http).await;
            site.process().signal(signal);
            is_draining(&site).await;
            no_longer_accepts(&site, http).await;
            site.origin(0).release();
            let (mut client, reply) = waiting.await.expect("a client that does not panic");
            assert_eq!(reply.status, 200, "SIG{signal} over {http:?}");
            if reply.version == Version::HTTP_11 {
                assert_eq!(reply.header("connection"), Some("close"), "SIG{signal} over {http:?}");
            }
            eventually("the connection is closed", async || client.is_closed()).await;
            let again = client.send(Request::get("/").body(Body::empty()).expect("a request")).await;
            assert!(again.is_err(), "answered after the drain");
            let ended = site.process().wait().await;
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        }
    }
}

#[tokio::test]
async fn connections_without_a_request_are_closed_at_once() {
    let mut site = Site::new().set("shutdown.drain", "1h").origin(Origin::echo()).start_process().await;
    let mut clients = Vec::new();
    for http in Http::ALL {
        let mut client = site.connect(http).await;
        assert_eq!(client.get("/").await.status, 200);
        clients.push(client);
    }
    let silent = [site.raw(Http::Plain).await, site.raw(Http::H1).await];
    site.process().signal("TERM");
    assert_eq!(site.process().wait().await.code, Some(0));
    drop(silent);
    for client in clients {
        eventually("it is closed", async || client.is_closed()).await;
    }
}

/// The rest of a head that had begun comes after a second in which an idle connection would have been closed.
#[tokio::test]
async fn a_request_whose_head_has_begun_is_answered() {
    let head = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let (begin, rest) = head.split_at(20);
    for (http, together) in [(Http::Plain, true), (Http::H1, false), (Http::H1, true)] {
        let mut site = Site::new().origin(Origin::echo()).start_process().await;
        let mut raw = site.raw(http).await;
        // The beginning comes with the request before it, or when that is answered.
        let (first, second) = if together { (format!("{head}{begin}"), "") } else { (head.to_owned(), begin) };
        raw.send(first).await;
        raw.read_until("\"target\":\"/\"}").await;
        raw.send(second).await;
        site.process().signal("TERM");
        is_draining(&site).await;
        tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
        raw.send(rest).await;
        let answer = raw.read_to_end().await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.contains("HTTP/1.1 200 OK\r\n") && answer.contains("connection: close\r\n"),
            "{http:?} {answer}"
        );
        assert_eq!(site.process().wait().await.code, Some(0));
    }
}

#[tokio::test]
async fn a_download_under_way_is_finished() {
    for http in Http::ALL {
        let mut site = Site::new().origin(Origin::echo()).start_process().await;
        let mut client = site.connect(http).await;
        let request = Request::get("/hold-body/100000").body(Body::empty()).expect("a request");
        let response = client.open(request).await.expect("a head");
        site.process().signal("TERM");
        is_draining(&site).await;
        site.origin(0).release();
        let body = http_body_util::BodyExt::collect(response.into_body()).await.expect("a whole body").to_bytes();
        assert_eq!(body.len(), 200_000, "{http:?}");
        drop(client);
        assert_eq!(site.process().wait().await.code, Some(0), "{http:?}");
    }
}

#[tokio::test]
async fn what_has_not_ended_in_time_is_cut_and_counted() {
    for http in Http::ALL {
        let mut site = Site::new().set("shutdown.drain", "300ms").origin(Origin::echo()).start_process().await;
        let mut client = site.connect(http).await;
        let request = Request::get("/hold-body/100000").body(Body::empty()).expect("a request");
        let response = client.open(request).await.expect("a head");
        site.process().signal("TERM");
        let body = http_body_util::BodyExt::collect(response.into_body()).await;
        assert!(body.is_err(), "a body that was cut looks whole over {http:?}");
        let ended = site.process().wait().await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let line = ended.stderr.lines().find(|line| line.contains("the time to drain was over")).unwrap_or_default();
        assert!(line.contains("\"cut\":1"), "{http:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("\"ending\":\"client-gone\""), "{http:?}: {}", ended.stderr);
    }
}

/// To a client of HTTP/1.0, the end of the connection is the end of an answer: only one that is no good end can tell.
#[tokio::test]
async fn an_old_client_sees_that_its_answer_was_cut() {
    for http in [Http::Plain, Http::H1] {
        let mut site = Site::new().set("shutdown.drain", "300ms").origin(Origin::echo()).start_process().await;
        let mut raw = site.raw(http).await;
        assert!(raw.send("GET /hold-chunked/100000 HTTP/1.0\r\nHost: www.example.test\r\n\r\n").await);
        let head = raw.read_until("\r\n\r\n").await;
        assert!(head.starts_with(b"HTTP/1.0 200 OK\r\n"), "{http:?}");
        site.process().signal("TERM");
        let (_, ends_well) = raw.read_to_its_end().await;
        assert!(!ends_well, "it looks whole over {http:?}");
        assert_eq!(site.process().wait().await.code, Some(0));
    }
}

/// The same where it is the client that takes too long.
#[tokio::test]
async fn an_old_client_that_takes_nothing_sees_that_its_answer_was_cut() {
    for (http, listener) in [(Http::Plain, "plain"), (Http::H1, "public")] {
        let limit = format!("listener.{listener}.limits.body_timeout");
        let site = Site::new().set(&limit, "1s").origin(Origin::echo()).start().await;
        let mut raw = site.raw(http).await;
        assert!(raw.send("GET /chunked/30000000 HTTP/1.0\r\nHost: www.example.test\r\n\r\n").await);
        eventually("it is cut", async || {
            let refused = [("reason", "body_timeout")];
            site.admin().metrics().await.count("palisade_connections_refused_total", &refused) == 1
        })
        .await;
        let (read, ends_well) = raw.read_to_its_end().await;
        assert!(!ends_well && read.len() < 30_000_000, "it looks whole over {http:?}");
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_a_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").and_then(|socket| Ok((socket.local_addr()?, socket)));
    let (address, _socket) = taken.expect("an address");
    let running = Site::new().origin(Origin::echo()).start_process().await;
    for (key, address, sentence) in [
        ("listener.plain.bind", address, "listener \"plain\" cannot listen on"),
        ("listener.plain.bind", running.address("plain"), "listener \"plain\" cannot listen on"),
        ("admin.bind", address, "the admin listener cannot listen on"),
    ] {
        let (folder, _origins) = Site::new().set(key, address.to_string()).origin(Origin::echo()).write();
        let ended = run_command("palisade", &["run", "palisade.toml"], folder.path()).await;
        let sentence = format!("{sentence} {address}: Address already in use (os error 98)");
        assert_eq!(ended.stderr.lines().last(), Some(sentence.as_str()), "{}", ended.stderr);
        assert_eq!(ended.code, Some(1));
    }
}

/// A client whose request waits at the origin.
async fn held(site: &Running, http: Http) -> tokio::task::JoinHandle<(Client, harness::Reply)> {
    let mut client = site.connect(http).await;
    let waiting = tokio::spawn(async move {
        let reply = client.get("/hold").await;
        (client, reply)
    });
    eventually("the origin has the request", async || site.origin(0).seen().len() == 1).await;
    waiting
}

/// The admin listener stays while the others end.
async fn is_draining(site: &Running) {
    eventually("the host says that it drains", async || {
        let ready = site.admin().get("/readyz").await;
        (ready.status, ready.text()) == (503, "draining\n")
    })
    .await;
    assert_eq!(site.admin().get("/healthz").await.status, 200);
}

async fn no_longer_accepts(site: &Running, http: Http) {
    eventually("connections are refused", async || site.dial(http).connect().await.is_err()).await;
}
