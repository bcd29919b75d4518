//! Tunnels from their first byte to their end: what passes, who ends them, and what is known of them.

use std::time::{Duration, Instant};

use harness::{Http, Raw, Running, Site, eventually};
use serde_json::json;

use super::endpoint::{ASK, Endpoint, GRANT};

async fn site(endpoint: &Endpoint) -> Running {
    let site = Site::new().plugin("tag", "tag", json!({ "name": "x" })).chain(&["tag"]);
    site.set("upstream.web.endpoints", json!([endpoint.address.to_string()])).start().await
}

async fn open(site: &Running, http: Http) -> Raw {
    let mut raw = site.raw(http).await;
    raw.send(ASK).await;
    let head = raw.read_until("\r\n\r\n").await;
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    raw
}

#[tokio::test]
async fn an_open_tunnel_is_an_exchange_under_way_and_is_counted_when_it_ends() {
    for http in [Http::Plain, Http::H1] {
        let endpoint = Endpoint::answering(GRANT).await;
        let site = site(&endpoint).await;
        let mut raw = open(&site, http).await;
        raw.send("12345").await;
        raw.read_until("12345").await;
        let metrics = site.admin().metrics().await;
        for gauge in ["palisade_exchanges_active", "palisade_plugin_leases", "palisade_upstream_connections"] {
            assert_eq!(metrics.count(gauge, &[]), 1, "{gauge} over {http:?}");
        }
        raw.finish().await;
        assert_eq!(raw.read_to_its_end().await, (Vec::new(), true), "{http:?}");
        endpoint.closed().await;
        site.idle().await;
        let metrics = site.admin().metrics().await;
        assert_eq!(metrics.count("palisade_endings_total", &[("ending", "complete")]), 1, "{http:?}");
        assert_eq!(metrics.count("palisade_request_body_bytes_total", &[]), 5, "{http:?}");
        assert_eq!(metrics.count("palisade_response_body_bytes_total", &[]), 5, "{http:?}");
        assert_eq!(metrics.count("palisade_upstream_connections", &[]), 0, "{http:?}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_closes_the_endpoint() {
    for http in [Http::Plain, Http::H1] {
        let endpoint = Endpoint::answering(GRANT).await;
        let site = site(&endpoint).await;
        drop(open(&site, http).await);
        endpoint.closed().await;
        site.idle().await;
    }
}

#[tokio::test]
async fn an_endpoint_that_leaves_closes_the_client_after_its_last_byte() {
    // It grants, says its last, and takes no echo: the tunnel's first bytes come with the 101.
    let endpoint = crate::endpoint::serving(|mut stream| async move {
        let mut bytes = [0; 4096];
        let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut bytes).await;
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, format!("{GRANT}farewell").as_bytes()).await;
        let _ = tokio::io::AsyncWriteExt::shutdown(&mut stream).await;
        let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut bytes).await;
    })
    .await;
    let site = Site::new().set("upstream.web.endpoints", json!([endpoint.to_string()])).start().await;
    for http in [Http::Plain, Http::H1] {
        let mut raw = open(&site, http).await;
        assert_eq!(raw.read_to_its_end().await, (b"farewell".to_vec(), true), "{http:?}");
        raw.finish().await;
        site.idle().await;
    }
}

#[tokio::test]
async fn a_tunnel_passes_as_much_as_is_taken_and_no_more() {
    let endpoint = Endpoint::answering(GRANT).await;
    let site = site(&endpoint).await;
    for http in [Http::Plain, Http::H1] {
        let raw = open(&site, http).await;
        let bytes: Vec<u8> = (0..8_u32 << 20).map(|number| number.to_le_bytes()[(number % 3) as usize]).collect();
        let (mut reading, mut writing) = raw.split();
        let sent = bytes.clone();
        // The endpoint says everything back and takes no more while nobody listens: only reading lets the rest go out.
        let sending = tokio::spawn(async move {
            assert!(writing.send(&sent).await);
            writing.finish().await;
        });
        let back = reading.read_to_end().await;
        sending.await.expect("a sender that does not panic");
        assert!(back == bytes, "{} bytes came back over {http:?}", back.len());
        site.idle().await;
    }
}

#[tokio::test]
async fn a_silent_tunnel_is_cut_in_its_time() {
    let endpoint = Endpoint::answering(GRANT).await;
    let route = json!({ "tunnel_timeout": "1s" });
    let site = Site::new().set("upstream.web.endpoints", json!([endpoint.address.to_string()])).route(route);
    let site = site.start().await;
    for http in [Http::Plain, Http::H1] {
        let mut raw = open(&site, http).await;
        let mut last = Instant::now();
        // Bytes keep it open.
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            last = Instant::now();
            raw.send("x").await;
            assert_eq!(raw.read_until("x").await, b"x", "{http:?}");
        }
        let (rest, is_well) = raw.read_to_its_end().await;
        assert!(rest.is_empty() && !is_well, "{rest:?} {is_well}");
        assert!(last.elapsed() >= Duration::from_millis(950), "cut after {:?}", last.elapsed());
        endpoint.closed().await;
    }
}

#[tokio::test]
async fn an_upgrade_that_was_asked_for_when_the_host_drains_is_one() {
    let endpoint = Endpoint::answering(GRANT).await;
    let site = Site::new().set("upstream.web.endpoints", json!([endpoint.address.to_string()]));
    let mut site = site.start_process().await;
    let mut raw = site.raw(Http::H1).await;
    let (begin, rest) = ASK.split_at(20);
    raw.send(begin).await;
    site.process().signal("TERM");
    eventually("the host drains", async || site.admin().get("/readyz").await.status == 503).await;
    raw.send(rest).await;
    let head = raw.read_until("\r\n\r\n").await;
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 ") && head.contains("connection: upgrade\r\n"), "{head}");
    raw.send("late").await;
    assert_eq!(raw.read_until("late").await, b"late");
    raw.finish().await;
    raw.read_to_end().await;
    assert_eq!(site.process().wait().await.code, Some(0));
}

#[tokio::test]
async fn a_draining_host_waits_for_tunnels_and_then_cuts_them() {
    for (drain, ends) in [("30s", true), ("500ms", false)] {
        let endpoint = Endpoint::answering(GRANT).await;
        let site = Site::new().set("shutdown.drain", drain);
        let mut site = site.set("upstream.web.endpoints", json!([endpoint.address.to_string()])).start_process().await;
        let mut raw = open(&site, Http::H1).await;
        site.process().signal("TERM");
        eventually("the host drains", async || site.admin().get("/readyz").await.status == 503).await;
        if ends {
            raw.send("late").await;
            assert_eq!(raw.read_until("late").await, b"late");
            raw.finish().await;
        }
        raw.read_to_end().await;
        endpoint.closed().await;
        let ended = site.process().wait().await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(ended.stderr.contains("the time to drain was over"), !ends, "{}", ended.stderr);
        let line = ended.stderr.lines().find(|line| line.contains("\"status\":101")).unwrap_or_default();
        let ending = if ends { "\"ending\":\"complete\"" } else { "\"ending\":\"client-gone\"" };
        assert!(line.contains(ending), "{}", ended.stderr);
    }
}
