//! Connections of HTTP/1 that are idle for longer than a moment: they rest, and nobody sees it but by the memory.

use std::time::{Duration, Instant};

use harness::{Http, Origin, Raw, Running, Site, eventually};

/// Half as long again as a connection is idle before it rests.
const A_WHILE: Duration = Duration::from_millis(1_500);

const HTTP1: [Http; 2] = [Http::Plain, Http::H1];

const REQUEST: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn it_is_answered_again_whenever_it_asks() {
    let site = site(&[]).await;
    let clients = HTTP1.map(async |http| {
        let mut raw = site.raw(http).await;
        // It has not asked anything yet.
        tokio::time::sleep(A_WHILE).await;
        // Of the old version, with an upgrade that is not granted, with a body, after an empty line, in two pieces.
        for request in [
            "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n|",
            "GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n|",
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n|body",
            "\r\n|GET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "G|ET / HTTP/1.1\r\nhost: a\r\n\r\n",
        ] {
            let (first, second) = request.split_once('|').unwrap_or((request, ""));
            raw.send(first).await;
            raw.send(second).await;
            let answer = answered(&mut raw).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") || answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
            tokio::time::sleep(A_WHILE).await;
        }
        // Two at a time, and the beginning of a third whose rest comes later.
        let (begin, rest) = REQUEST.split_at(7);
        raw.send(format!("{REQUEST}{REQUEST}{begin}")).await;
        for _ in 0..2 {
            assert!(answered(&mut raw).await.starts_with("HTTP/1.1 200 OK\r\n"), "{http:?}");
        }
        tokio::time::sleep(A_WHILE).await;
        raw.send(rest).await;
        assert!(answered(&mut raw).await.starts_with("HTTP/1.1 200 OK\r\n"), "{http:?}");
    });
    let [plain, tls] = clients;
    tokio::join!(plain, tls);
    site.idle().await;
}

/// What is malformed is no less so after a rest, and the end of a connection is still one that says so.
#[tokio::test]
async fn it_is_guarded_as_before() {
    let site = site(&[]).await;
    for http in HTTP1 {
        let mut raw = rested(&site, http).await;
        raw.send("GET / HTTP/1.1\nhost: a\r\n\r\n").await;
        let (answer, is_good) = raw.read_to_its_end().await;
        assert!(answer.starts_with(b"HTTP/1.1 400 ") && is_good, "{http:?} {}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test]
async fn one_that_stays_idle_is_closed_in_good_order() {
    let site = site(&[("idle_timeout", "3s")]).await;
    for http in HTTP1 {
        for request in [REQUEST, ""] {
            let mut raw = site.raw(http).await;
            let began = Instant::now();
            raw.send(request).await;
            let (answer, is_good) = raw.read_to_its_end().await;
            let took = began.elapsed();
            assert!(is_good && answer.is_empty() == request.is_empty(), "{http:?}");
            assert!(took >= Duration::from_millis(2_900) && took < Duration::from_secs(10), "{http:?} {took:?}");
        }
    }
    site.idle().await;
    assert_eq!(refused(&site, "").await, 0.0);
}

#[tokio::test]
async fn a_head_that_begins_and_stalls_is_cut_in_its_time() {
    let site = site(&[("header_timeout", "2s")]).await;
    for http in HTTP1 {
        let mut raw = rested(&site, http).await;
        let began = Instant::now();
        raw.send("GET / HTTP/1.1\r\n").await;
        raw.read_to_end().await;
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(1_950) && took < Duration::from_secs(10), "{http:?} {took:?}");
    }
    eventually("both are counted", async || refused(&site, "header_timeout").await == 2.0).await;
    site.idle().await;
}

#[tokio::test]
async fn one_whose_client_leaves_is_gone() {
    let site = site(&[]).await;
    let clients = [rested(&site, Http::Plain).await, rested(&site, Http::H1).await];
    drop(clients);
    eventually("no connection is left", async || open(&site).await == 0.0).await;
    assert_eq!(refused(&site, "").await, 0.0);
}

#[tokio::test]
async fn a_drain_ends_it_in_good_order_and_at_once() {
    let site = Site::new().set("shutdown.drain", "1h").origin(Origin::echo());
    let mut site = site.start_process().await;
    let mut clients = [rested(&site, Http::Plain).await, rested(&site, Http::H1).await];
    let silent = [site.raw(Http::Plain).await, site.raw(Http::H1).await];
    tokio::time::sleep(A_WHILE).await;
    let began = Instant::now();
    site.process().signal("TERM");
    for raw in clients.iter_mut().chain(&mut { silent }) {
        assert_eq!(raw.read_to_its_end().await, (Vec::new(), true));
    }
    assert_eq!(site.process().wait().await.code, Some(0));
    let took = began.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}, and an idle connection may stay for 75 seconds");
}

/// Idle connections at a time.
const CONNECTIONS: u32 = 500;

/// What each of them may take of memory: about twice what TLS itself does, and half of what one takes that does not rest.
const BYTES_EACH_MAX: u64 = 20 << 10;

#[tokio::test]
async fn many_take_little_memory() {
    let site = Site::new().origin(Origin::echo()).set("workers", 1).set("log.access", false);
    let mut site = site.set("listener.public.limits.connections_per_address", "off").start_process().await;
    let mut client = site.connect(Http::H1).await;
    for _ in 0..20 {
        drop(asked(&site, Http::H1).await);
        client.get("/").await;
    }
    let before = site.process().resident_bytes().0;
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS {
        open.push(asked(&site, Http::H1).await);
    }
    let limit = before + u64::from(CONNECTIONS) * BYTES_EACH_MAX;
    eventually("all of them rest", async || {
        // An allocator gives back what is free when its thread has something to do.
        client.get("/").await;
        site.process().resident_bytes().0 <= limit
    })
    .await;
    for raw in &mut open {
        raw.send(REQUEST).await;
        assert!(answered(raw).await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
}

/// With these limits on both listeners.
async fn site(limits: &[(&str, &str)]) -> Running {
    let mut site = Site::new();
    for listener in ["public", "plain"] {
        for (limit, value) in limits {
            site = site.set(&format!("listener.{listener}.limits.{limit}"), *value);
        }
    }
    site.origin(Origin::echo()).start().await
}

/// A connection that has asked once.
async fn asked(site: &Running, http: Http) -> Raw {
    let mut raw = site.raw(http).await;
    raw.send(REQUEST).await;
    assert!(answered(&mut raw).await.starts_with("HTTP/1.1 200 OK\r\n"), "{http:?}");
    raw
}

/// A connection that has asked once, a while ago.
async fn rested(site: &Running, http: Http) -> Raw {
    let raw = asked(site, http).await;
    tokio::time::sleep(A_WHILE).await;
    raw
}

/// One answer of the origin, up to its end.
async fn answered(raw: &mut Raw) -> String {
    let answer = raw.read_until("\"target\":\"/\"}").await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn refused(site: &Running, reason: &str) -> f64 {
    let labels = [("reason", reason)];
    let labels = if reason.is_empty() { &[][..] } else { &labels[..] };
    site.admin().metrics().await.sum("palisade_connections_refused_total", labels)
}

async fn open(site: &Running) -> f64 {
    site.admin().metrics().await.sum("palisade_connections", &[])
}
