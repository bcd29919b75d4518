//! Certificates that change on disk while the host runs.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use harness::{Running, eventually, run_command};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::client::Resumption;
use rustls::{ClientConfig, HandshakeKind};

use super::{Authority, Pair, der, ecdsa, rsa, shake, showing, shown};

const NAME: &str = "www.example.test";

/// Pairs that take each other's place, with a bad one before each.
const CHANGES: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_handshake_fails_and_no_connection_ends_while_certificates_change() {
    let authority = Authority::new();
    let first = authority.sign(&[NAME], &ecdsa());
    let site = showing(&authority, &[first]).set("workers", 2).set("log.access", false).start_process().await;
    let site = Arc::new(site);
    let mut open = ask_over(&site, &authority.client()).await;
    let (done, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (site, client) = (site.clone(), without_tickets(&authority));
            let (done, count) = (done.clone(), count.clone());
            tokio::spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    let mut sender = ask_over(&site, &client).await;
                    ask(&mut sender).await;
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let client = without_tickets(&authority);
    for number in 0..CHANGES {
        let next = authority.sign(&[NAME], &if number % 2 == 0 { rsa() } else { ecdsa() });
        // First a key that is of no certificate, for as long as it takes to be looked at.
        put(&site, "0.key", &ecdsa().serialize_pem());
        eventually("the bad pair is told", async || site.admin().problems().await.len() == 1).await;
        put(&site, "0.pem", &next.chain);
        put(&site, "0.key", &next.key);
        eventually("the new one is shown", async || {
            shown(&shake(&site, &client, NAME).await.expect("a handshake")) == der(&next.chain)
        })
        .await;
        ask(&mut open).await;
    }
    done.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("a client whose handshakes and requests all succeeded");
    }
    let metrics = site.admin().metrics().await;
    for reason in ["handshake", "handshake-timeout"] {
        assert_eq!(metrics.count("palisade_connections_refused_total", &[("reason", reason)]), 0, "{reason}");
    }
    assert_eq!(site.admin().problems().await, [] as [&str; 0]);
    let count = count.load(Ordering::Relaxed);
    assert!(count > CHANGES, "{count} handshakes");
    eprintln!("{CHANGES} new pairs and as many bad ones under {count} handshakes");
}

#[tokio::test]
async fn a_bad_pair_keeps_the_one_before_and_the_rest_is_taken_over() {
    let authority = Authority::new();
    let pairs = [authority.sign(&[NAME], &ecdsa()), authority.sign(&["other.test"], &ecdsa())];
    let site = showing(&authority, &pairs).start().await;
    let client = authority.client();
    let [own, other] = &pairs;
    let config = fs::read_to_string(site.folder().path().join("palisade.toml")).expect("a configuration");
    let half: String = own.chain.chars().take(own.chain.len() / 2).collect();
    for (number, (chain, key, reason)) in [
        (Some(own.chain.as_str()), Some(other.key.as_str()), "cannot be used together"),
        (Some(&half), Some(&own.key), "cannot read the certificate"),
        (Some(""), Some(&own.key), "there is no certificate in"),
        (Some(&own.chain), Some("no key"), "cannot read the private key"),
        (None, Some(&own.key), "cannot read the certificate"),
        (Some(&own.chain), None, "cannot read the private key"),
    ]
    .into_iter()
    .enumerate()
    {
        replace(&site, "0.pem", chain);
        replace(&site, "0.key", key);
        // The other one changes at the same time, and so does the configuration.
        let next = authority.sign(&["other.test"], &ecdsa());
        put(&site, "1.pem", &next.chain);
        put(&site, "1.key", &next.key);
        put(&site, "palisade.toml", &config.replace("\"5s\"", &format!("\"{}s\"", number + 10)));
        eventually(reason, async || {
            let problems = site.admin().problems().await;
            let is_told = |problem: &String| {
                problem.starts_with("listener \"public\": ")
                    && problem.contains(reason)
                    && problem.ends_with("; what was read before is shown on")
            };
            problems.len() == 1 && problems.iter().all(is_told)
        })
        .await;
        let (status, outcome) = site.admin().reload().await;
        assert_eq!((status, &outcome["problems"].as_array().map(Vec::len)), (422, &Some(1)), "{outcome}");
        assert_eq!(shown(&shake(&site, &client, NAME).await.expect("a handshake")), der(&own.chain), "{reason}");
        let stream = shake(&site, &client, "other.test").await.expect("a handshake");
        assert_eq!(shown(&stream), der(&next.chain), "{reason}");
    }
    put(&site, "0.pem", &own.chain);
    put(&site, "0.key", &own.key);
    eventually("nothing is wrong any more", async || site.admin().problems().await.is_empty()).await;
}

#[tokio::test]
async fn a_pair_that_was_never_good_is_refused_at_a_start_and_in_a_new_configuration() {
    let authority = Authority::new();
    let good = || authority.sign(&[NAME], &ecdsa());
    let bad = || Pair { chain: good().chain, key: good().key };
    let (folder, _origins) = showing(&authority, &[good(), bad()]).write();
    let ended = run_command("palisade", &["run", "palisade.toml", "--no-last-good"], folder.path()).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("1.pem") && ended.stderr.contains("cannot be used together"), "{}", ended.stderr);
    let site = showing(&authority, &[good()]).file("bad.pem", bad().chain).file("bad.key", bad().key).start().await;
    let config = fs::read_to_string(site.folder().path().join("palisade.toml")).expect("a configuration");
    put(&site, "palisade.toml", &config.replace("0.pem", "bad.pem").replace("0.key", "bad.key"));
    eventually("the configuration is refused", async || {
        site.admin().metrics().await.count("palisade_reloads_total", &[("result", "refused")]) == 1
    })
    .await;
    assert!(shake(&site, &authority.client(), NAME).await.is_ok());
}

#[tokio::test]
async fn a_ticket_is_good_after_the_certificate_has_changed() {
    let authority = Authority::new();
    let site = showing(&authority, &[authority.sign(&[NAME], &ecdsa())]).start().await;
    let client = authority.client();
    ask(&mut ask_over(&site, &client).await).await;
    let next = authority.sign(&[NAME], &ecdsa());
    put(&site, "0.pem", &next.chain);
    put(&site, "0.key", &next.key);
    let fresh = without_tickets(&authority);
    eventually("the new one is shown", async || {
        shown(&shake(&site, &fresh, NAME).await.expect("a handshake")) == der(&next.chain)
    })
    .await;
    let stream = shake(&site, &client, NAME).await.expect("a handshake");
    assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));
}

fn without_tickets(authority: &Authority) -> Arc<ClientConfig> {
    let mut client = ClientConfig::clone(&authority.client());
    client.resumption = Resumption::disabled();
    Arc::new(client)
}

/// Over a connection of its own.
async fn ask_over(site: &Running, client: &Arc<ClientConfig>) -> SendRequest<Empty<Bytes>> {
    let stream = shake(site, client, NAME).await.expect("a handshake");
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::spawn(connection);
    sender
}

async fn ask(sender: &mut SendRequest<Empty<Bytes>>) {
    let request = http::Request::get("/").header("host", NAME).body(Empty::new()).expect("a request");
    let answer = sender.send_request(request).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.into_body().collect().await.expect("a whole answer");
}

/// As careful operators do.
fn put(site: &Running, name: &str, text: &str) {
    crate::reload::rename(&site.folder().path().join(name), text);
}

fn replace(site: &Running, name: &str, text: Option<&str>) {
    match text {
        Some(text) => put(site, name, text),
        None => fs::remove_file(site.folder().path().join(name)).expect("removed"),
    }
}
