//! HTTP/3 while the configuration, the certificates and the clients' addresses change.

use std::fs;
use std::sync::Arc;

use harness::{Aioquic, Http, Origin, Running, eventually};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::json;

use super::site;

const NO_ERROR: u64 = 0x100;

/// Changes the configuration's file, and waits until it is served.
async fn change(site: &Running, text: &str, instead: &str) {
    let file = site.folder().path().join("palisade.toml");
    let config = fs::read_to_string(&file).expect("a configuration");
    assert!(config.contains(text), "{text} in {config}");
    fs::write(file, config.replacen(text, instead, 1)).expect("written");
    reload(site).await;
}

async fn reload(site: &Running) {
    let (status, outcome) = site.admin().reload().await;
    assert_eq!((status, outcome.get("result")), (200, Some(&json!("complete"))), "{outcome}");
}

const WITH: &str = "http = [\"h1\", \"h2\", \"h3\"]";
const WITHOUT: &str = "http = [\"h1\", \"h2\"]";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_speaks_http_3_no_more_drains_it_and_may_speak_it_again() {
    let site = site().set("workers", 4).set("shutdown.drain", "1h").origin(Origin::echo()).start().await;
    let program = Arc::new(Aioquic::start());
    let mut clients = Vec::new();
    for _ in 0..6 {
        let client = program.connect(&site).await;
        let held = client.request(("GET", "/hold"), &[], json!({ "wait": null })).await;
        clients.push((client, held["stream"].clone()));
    }
    let idle = program.connect(&site).await;
    eventually("all are asked", async || site.origin(0).seen().len() == 6).await;
    change(&site, WITH, WITHOUT).await;
    assert_eq!(idle.tell(json!({ "do": "closed" })).await["closed"]["code"], NO_ERROR);
    for (client, _) in &clients {
        let told = client.tell(json!({ "do": "goaway", "count": 2 })).await;
        assert_eq!((&told["goaway"][1], &told["closed"]), (&json!(4), &json!(null)));
    }
    for _ in 0..8 {
        let (_, refused) = program.try_connect(&site, json!({})).await;
        // CONNECTION_REFUSED of RFC 9000, section 20.1, by whichever worker.
        assert_eq!((&refused["connected"], &refused["closed"]["code"]), (&json!(false), &json!(2)));
    }
    assert_eq!(site.connect(Http::H2).await.get("/").await.header("alt-svc"), None);
    // Its sockets are still those that its clients have, and no others.
    change(&site, WITHOUT, WITH).await;
    for _ in 0..12 {
        let new = program.connect(&site).await;
        new.tell(json!({ "do": "rebind" })).await;
        assert_eq!(new.get("/").await.status, 200);
    }
    for (client, _) in &clients {
        client.tell(json!({ "do": "rebind" })).await;
        // Whoever only waits cannot be found at another port.
        client.tell(json!({ "do": "ping" })).await;
    }
    site.origin(0).release();
    for (client, held) in clients {
        let answer = client.tell(json!({ "do": "answer", "stream": held })).await;
        assert_eq!((&answer["status"], &answer["reset"]), (&json!(200), &json!(null)), "{answer}");
        assert_eq!(client.tell(json!({ "do": "closed" })).await["closed"]["code"], NO_ERROR);
    }
    site.idle().await;
}

#[tokio::test]
async fn http_3_can_be_added_and_another_listener_can_have_the_address() {
    let site = site().set("listener.public.http", json!(["h1", "h2"])).origin(Origin::echo()).start().await;
    let program = Arc::new(Aioquic::start());
    let address = site.address("public");
    assert_eq!(site.connect(Http::H2).await.get("/").await.header("alt-svc"), None);
    change(&site, WITHOUT, WITH).await;
    let client = program.connect(&site).await;
    assert_eq!(client.get("/").await.status, 200);
    assert!(site.connect(Http::H2).await.get("/").await.header("alt-svc").is_some());
    // By its port, because port zero is any that the same listener had.
    let config = fs::read_to_string(site.folder().path().join("palisade.toml")).expect("a configuration");
    let public = config.find("name = \"public\"").expect("a listener");
    let bind = config[..public].rfind("bind = \"127.0.0.1:0\"").expect("its address");
    let table = format!("{}bind = \"{address}\"{}", &config[..bind], &config[bind + "bind = \"127.0.0.1:0\"".len()..]);
    fs::write(site.folder().path().join("palisade.toml"), table).expect("written");
    change(&site, "name = \"public\"", "name = \"renamed\"").await;
    assert_eq!(client.tell(json!({ "do": "closed" })).await["closed"]["code"], NO_ERROR);
    let client = program.connect(&site).await;
    assert_eq!(client.get("/").await.status, 200);
    let metrics = site.admin().metrics().await;
    let asked = |listener| metrics.count("palisade_requests_total", &[("listener", listener), ("protocol", "h3")]);
    assert_eq!((asked("public"), asked("renamed")), (1, 1));
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections_and_old_ones_stay() {
    let site = site().origin(Origin::echo()).start().await;
    let program = Arc::new(Aioquic::start());
    let old = program.connect(&site).await;
    let names = ["www.example.test".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).expect("a certificate");
    site.folder().write("site.pem", cert.pem());
    site.folder().write("site.key", signing_key.serialize_pem());
    reload(&site).await;
    let (_, refused) = program.try_connect(&site, json!({})).await;
    assert_eq!(refused["connected"], false, "it is not our authority's any more");
    site.folder().write("ca.pem", cert.pem());
    assert_eq!(program.connect(&site).await.get("/").await.status, 200);
    assert_eq!(old.get("/").await.status, 200);
}

#[tokio::test]
async fn connection_filters_are_asked_before_the_handshake_and_when_a_client_moves() {
    let site = site().plugin("door", "refuses-connection", json!({ "prefix": "127.0.0.2" })).chain(&["door"]);
    let site = site.origin(Origin::echo()).start().await;
    let program = Arc::new(Aioquic::start());
    let refused =
        async || site.admin().metrics().await.count("palisade_connections_refused_total", &[("reason", "plugin")]);
    let (_, answer) = program.try_connect(&site, json!({ "source": "127.0.0.2" })).await;
    // CONNECTION_REFUSED of RFC 9000, section 20.1.
    assert_eq!((&answer["connected"], &answer["closed"]["code"]), (&json!(false), &json!(2)), "{answer}");
    assert_eq!(refused().await, 1);
    let client = program.connect(&site).await;
    assert_eq!(client.get("/").await.status, 200);
    client.tell(json!({ "do": "rebind", "source": "127.0.0.3" })).await;
    let seen = client.get("/").await.json();
    assert_eq!(seen["headers"]["x-forwarded-for"], json!(["127.0.0.3"]));
    client.tell(json!({ "do": "rebind", "source": "127.0.0.2" })).await;
    client.request(("GET", "/"), &[], json!({})).await;
    assert_eq!(client.tell(json!({ "do": "closed" })).await["closed"]["code"], NO_ERROR);
    assert_eq!((refused().await, site.origin(0).seen().len()), (2, 2));
}
