//! Clients of databases behind a listener that carries anything: TLS from end to end, one writer at a time, and no write lost that
//! was acknowledged.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use harness::{Ended, Folder, Site, eventually, run_command};
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::server::Server;
use crate::health::becomes;

/// A host with a listener `tcp` that sends everything to the first of these that is healthy.
fn site(addresses: &[SocketAddr], health: Value) -> Site {
    let endpoint =
        |(priority, address): (usize, &SocketAddr)| json!({ "address": address.to_string(), "priority": priority });
    let endpoints: Vec<Value> = addresses.iter().enumerate().map(endpoint).collect();
    let listener = json!({ "bind": "127.0.0.1:0", "protocol": "tcp", "route": [{ "upstream": "web" }] });
    Site::new()
        .set("listener", json!({ "tcp": listener }))
        .set("upstream.web.endpoints", json!(endpoints))
        .set("upstream.web.health", health)
}

/// What a client says after this question, which it asks through the listener.
async fn client(listener: SocketAddr, more: &[&str], question: &str, folder: &Path) -> Ended {
    let port = format!("--port={}", listener.port());
    let mut arguments = vec!["--no-defaults", "-N", "--host=127.0.0.1", &port, "-ushop", "--connect-timeout=2"];
    arguments.extend(more);
    arguments.extend(["-e", question]);
    run_command("mariadb", &arguments, folder).await
}

#[tokio::test]
async fn a_client_speaks_tls_with_the_server_through_the_listener() {
    let (folder, _) = Site::new().write();
    let server = Server::within_tls(&folder, "shop").await;
    let health = json!({ "check": "tcp", "interval": "1s" });
    let site = site(&[server.address()], health).start().await;
    let authority = format!("--ssl-ca={}", folder.path().join("ca.pem").display());
    let question = "SHOW STATUS LIKE 'Ssl_cipher'";
    let ended = client(site.address("tcp"), &["--ssl", &authority], question, folder.path()).await;
    assert!(ended.stdout.trim().contains("TLS_"), "{}{}", ended.stdout, ended.stderr);
    let clear = client(site.address("tcp"), &["--skip-ssl"], question, folder.path()).await;
    assert_ne!(clear.code, Some(0), "{}", clear.stdout);
}

/// One client after the other, each of which writes a row.
struct Writers {
    acknowledged: Arc<Mutex<Vec<u32>>>,
    ends: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Writers {
    fn begin(listener: SocketAddr, folder: &Folder) -> Self {
        let (acknowledged, ends) = (Arc::<Mutex<Vec<u32>>>::default(), Arc::<AtomicBool>::default());
        let (own, end, folder) = (acknowledged.clone(), ends.clone(), folder.path().to_owned());
        let task = tokio::spawn(async move {
            let mut id = 0;
            while !end.load(Ordering::Relaxed) {
                let row = format!("INSERT INTO shop.orders VALUES ({id})");
                if client(listener, &[], &row, &folder).await.code == Some(0) {
                    own.lock().expect("nobody panics with it").push(id);
                }
                // What was not acknowledged may be there or not: it is never tried again under the same number.
                id += 1;
            }
        });
        Self { acknowledged, ends, task }
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().expect("nobody panics with it").len()
    }

    /// Waits until so many more rows are acknowledged.
    async fn write(&self, more: usize) {
        let until = self.count() + more;
        eventually(&format!("{more} more rows"), async || self.count() >= until).await;
    }

    async fn end(self) -> Vec<u32> {
        self.ends.store(true, Ordering::Relaxed);
        self.task.await.expect("it ends");
        self.acknowledged.lock().expect("nobody panics with it").clone()
    }
}

#[tokio::test]
async fn no_acknowledged_write_is_lost_when_the_writer_is_killed_or_hangs() {
    let mut cluster = Cluster::start().await;
    let addresses: Vec<SocketAddr> = cluster.nodes.iter().map(Server::address).collect();
    let tables = "CREATE DATABASE shop; CREATE TABLE shop.orders (id INT PRIMARY KEY); CREATE USER shop@'%'; \
                  GRANT ALL ON shop.* TO shop@'%'";
    cluster.node(0).does(tables).await;
    let health =
        json!({ "check": "mysql", "interval": "300ms", "jitter": "0ms", "timeout": "1s", "fall": 1, "rise": 1 });
    let site = site(&addresses, health).start().await;
    let listener = site.address("tcp");
    let writers = Writers::begin(listener, site.folder());
    writers.write(10).await;
    cluster.node(0).kill().await;
    writers.write(10).await;
    cluster.node(0).start(&[]);
    becomes(&site, 0, "healthy").await;
    writers.write(5).await;
    // The session of a client whose node hangs is cut, when checks have found that out.
    let folder = site.folder().path().to_owned();
    let sleeper = tokio::spawn(async move { client(listener, &[], "SELECT SLEEP(600)", &folder).await });
    writers.write(5).await;
    cluster.node(0).signal("STOP");
    writers.write(10).await;
    let cut = sleeper.await.expect("a client");
    assert!(cut.code != Some(0) && cut.stderr.contains("Lost connection"), "{}{}", cut.stdout, cut.stderr);
    cluster.node(0).signal("CONT");
    let acknowledged = writers.end().await;
    let kept =
        cluster.node(2).ask("SET SESSION wsrep_sync_wait = 1; SELECT id FROM shop.orders").await.expect("the rows");
    let kept: Vec<u32> = kept.lines().filter_map(|id| id.trim().parse().ok()).collect();
    let lost: Vec<&u32> = acknowledged.iter().filter(|id| !kept.contains(id)).collect();
    assert!(lost.is_empty(), "{lost:?} of {} are lost", acknowledged.len());
}
