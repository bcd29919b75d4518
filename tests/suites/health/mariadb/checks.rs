//! Checks of real MariaDB servers: one alone, within TLS too, and three nodes of a Galera cluster.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harness::{Folder, Running, Site, eventually};
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::server::Server;
use crate::health::{becomes, endpoint, reason_of, state_of};

fn site(addresses: &[SocketAddr], health: Value) -> Site {
    let endpoints: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    Site::new().set("upstream.web.endpoints", json!(endpoints)).set("upstream.web.health", health)
}

/// Waits until the endpoint is down for a reason with this in it.
async fn is_down(site: &Running, index: usize, why: &str) {
    let mut seen = Value::Null;
    eventually(&format!("{index} is down: {why}"), async || {
        seen = endpoint(site, index).await;
        state_of(&seen) == "unhealthy" && reason_of(&seen).contains(why)
    })
    .await;
}

#[tokio::test]
async fn a_server_alone_is_down_while_it_is_read_only_or_hangs_or_knows_nobody() {
    let folder = Folder::new();
    let mut server = Server::new(&folder, "one", "").await;
    server.start(&[]);
    server.is_up().await;
    let health =
        json!({ "check": "mysql", "galera": false, "interval": "200ms", "timeout": "2s", "fall": 1, "rise": 1 });
    let site = site(&[server.address()], health).start().await;
    is_down(&site, 0, "it refuses (1045): Access denied for user 'monitor'@'127.0.0.1'").await;
    server.does("CREATE USER monitor@'%'").await;
    becomes(&site, 0, "healthy").await;
    server.does("SET GLOBAL read_only = 1").await;
    is_down(&site, 0, "read_only is \"ON\", not \"OFF\"").await;
    server.does("SET GLOBAL read_only = 0; ALTER USER monitor@'%' IDENTIFIED BY 'secret'").await;
    is_down(&site, 0, "it refuses (1045)").await;
    server.does("ALTER USER monitor@'%' IDENTIFIED BY ''").await;
    becomes(&site, 0, "healthy").await;
    // The server has not counted us among those who broke off.
    let aborted = server.ask("SHOW GLOBAL STATUS LIKE 'Aborted_clients'").await;
    assert!(aborted.as_deref().is_some_and(|aborted| aborted.ends_with("\t0")), "{aborted:?}");
    server.signal("STOP");
    is_down(&site, 0, "no answer within 2s").await;
    server.signal("CONT");
    becomes(&site, 0, "healthy").await;
    server.kill().await;
    is_down(&site, 0, "no connection").await;
}

#[tokio::test]
async fn a_server_that_takes_nobody_without_tls_is_asked_within_it() {
    let (folder, _) = Site::new().write();
    let server = Server::within_tls(&folder, "monitor").await;
    let health = json!({ "check": "mysql", "galera": false, "interval": "200ms" });
    let plain = site(&[server.address()], health.clone()).start().await;
    assert!(reason_of(&endpoint(&plain, 0).await).contains("it refuses"));
    let tls = json!({ "ca": "ca.pem", "server_name": "www.example.test" });
    let site = site(&[server.address()], health).set("upstream.web.tls", tls).start().await;
    assert_eq!(reason_of(&endpoint(&site, 0).await), "");
}

/// From one check to the next.
const INTERVAL: Duration = Duration::from_millis(1_500);

/// The endpoint is found down within two intervals.
async fn is_found_down(site: &Running, index: usize, why: &str) {
    let began = Instant::now();
    is_down(site, index, why).await;
    assert!(began.elapsed() <= 2 * INTERVAL, "{why}: {:?}", began.elapsed());
}

#[tokio::test]
async fn nodes_of_a_cluster_are_found_down_within_two_intervals_and_up_again() {
    let mut cluster = Cluster::start().await;
    let addresses: Vec<SocketAddr> = cluster.nodes.iter().map(Server::address).collect();
    let health =
        json!({ "check": "mysql", "interval": "1500ms", "jitter": "0ms", "timeout": "700ms", "fall": 1, "rise": 1 });
    let site = site(&addresses, health).start().await;
    for index in 0..3 {
        assert_eq!(reason_of(&endpoint(&site, index).await), "");
    }
    for (fault, mend, why) in [
        ("SET GLOBAL read_only = 1", "SET GLOBAL read_only = 0", "read_only is \"ON\""),
        ("SET GLOBAL wsrep_desync = ON", "SET GLOBAL wsrep_desync = OFF", "wsrep_local_state is \"2\""),
    ] {
        cluster.node(1).does(fault).await;
        is_found_down(&site, 1, why).await;
        cluster.node(1).does(mend).await;
        becomes(&site, 1, "healthy").await;
    }
    cluster.node(1).signal("STOP");
    is_found_down(&site, 1, "no answer within 700ms").await;
    cluster.node(1).signal("CONT");
    becomes(&site, 1, "healthy").await;
    cluster.node(2).kill().await;
    is_found_down(&site, 2, "no connection").await;
    cluster.node(2).start(&[]);
    becomes(&site, 2, "healthy").await;
    // The last of three is out of the primary component, and says so; clients may still log in there.
    cluster.node(0).kill().await;
    cluster.node(1).kill().await;
    let last = cluster.node(2);
    eventually("the last node is alone", async || {
        let status = last.ask("SHOW STATUS LIKE 'wsrep_cluster_status'").await;
        status.is_some_and(|status| status.ends_with("non-Primary"))
    })
    .await;
    assert_eq!(last.ask("SELECT 1").await.as_deref(), Some("1"));
    is_found_down(&site, 2, "wsrep_ready is \"OFF\"").await;
    last.does("SET GLOBAL wsrep_provider_options = 'pc.bootstrap=YES'").await;
    becomes(&site, 2, "healthy").await;
    for index in 0..2 {
        assert_eq!(state_of(&endpoint(&site, index).await), "unhealthy");
    }
}
