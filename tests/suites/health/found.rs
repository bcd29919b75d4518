//! Endpoints that are found: by names at a real name server (dnsmasq), as services, and in a file.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use harness::{Folder, Http, Running, Site, eventually, signal};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use super::becomes;
use crate::reload::rename;

/// A name server. Dropping it ends it.
struct NameServer {
    folder: Folder,
    address: SocketAddr,
    more: Vec<String>,
    process: Option<Child>,
}

impl NameServer {
    /// It knows these lines of a hosts file, each for a second, and what else its arguments say.
    async fn start(hosts: &str, more: &[&str]) -> Self {
        // Free for both, as it listens over both.
        let address = std::iter::repeat_with(|| UdpSocket::bind("127.0.0.1:0").expect("a port"))
            .take(100)
            .map(|socket| socket.local_addr().expect("an address"))
            .find(|address| TcpListener::bind(address).is_ok());
        let address = address.expect("a port");
        let folder = Folder::new();
        folder.write("hosts", hosts);
        let more = more.iter().map(|word| (*word).to_owned()).collect();
        let mut server = Self { folder, address, more, process: None };
        server.run().await;
        server
    }

    async fn run(&mut self) {
        let mut command = Command::new("dnsmasq");
        let own = [
            "--keep-in-foreground".to_owned(),
            "--conf-file=/dev/null".to_owned(),
            "--no-resolv".to_owned(),
            "--no-hosts".to_owned(),
            "--bind-interfaces".to_owned(),
            "--listen-address=127.0.0.1".to_owned(),
            format!("--port={}", self.address.port()),
            "--pid-file=".to_owned(),
            "--user=root".to_owned(),
            "--local=/test/".to_owned(),
            "--local-ttl=1".to_owned(),
            format!("--addn-hosts={}", self.folder.path().join("hosts").display()),
        ];
        command.args(own).args(&self.more).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        self.process = Some(command.spawn().expect("dnsmasq; run `cargo xtask test`"));
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        socket.connect(self.address).await.expect("an address");
        eventually("the name server answers", async || {
            // A question for the root.
            let _ = socket.send(&[0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1]).await;
            let wait = std::time::Duration::from_millis(100);
            tokio::time::timeout(wait, socket.recv(&mut [0; 512])).await.is_ok_and(|received| received.is_ok())
        })
        .await;
    }

    /// It knows these from now on.
    fn knows(&self, hosts: &str) {
        self.folder.write("hosts", hosts);
        if let Some(id) = self.process.as_ref().and_then(Child::id) {
            signal(id, "HUP");
        }
    }

    fn end(&mut self) {
        self.process = None;
    }

    fn dns(&self) -> serde_json::Value {
        json!({ "resolvers": [self.address.to_string()], "min_ttl": "100ms", "timeout": "500ms" })
    }
}

/// Servers on one port of several addresses of this machine, each of which answers with its address.
struct Fleet {
    port: u16,
    _tasks: JoinSet<()>,
}

impl Fleet {
    fn on(addresses: &[[u8; 4]]) -> Self {
        for _ in 0..100 {
            let first = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
            let bind = |ip: &[u8; 4]| TcpListener::bind(SocketAddr::from((*ip, first.port())));
            let Ok(sockets) = addresses.iter().map(bind).collect::<Result<Vec<_>, _>>() else { continue };
            let mut tasks = JoinSet::new();
            for socket in sockets {
                tasks.spawn(serve(socket));
            }
            return Self { port: first.port(), _tasks: tasks };
        }
        panic!("no port is free on all of {addresses:?}")
    }
}

async fn serve(socket: TcpListener) {
    socket.set_nonblocking(true).expect("a socket");
    let socket = tokio::net::TcpListener::from_std(socket).expect("a socket");
    let ip = socket.local_addr().expect("an address").ip().to_string();
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{ip}", ip.len());
    let mut connections = JoinSet::new();
    while let Ok((mut stream, _)) = socket.accept().await {
        let answer = answer.clone();
        connections.spawn(async move {
            let mut bytes = Vec::new();
            while stream.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {
                if bytes.ends_with(b"\r\n\r\n") {
                    bytes.clear();
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        });
    }
}

/// Clients that ask all the time, and count.
struct Clients {
    tasks: JoinSet<()>,
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    failed: Arc<AtomicUsize>,
}

impl Clients {
    async fn of(site: &Running) -> Self {
        let mut tasks = JoinSet::new();
        let stop = Arc::<AtomicBool>::default();
        let [asked, failed] = [(); 2].map(|()| Arc::<AtomicUsize>::default());
        for http in [Http::H1, Http::H1, Http::H2] {
            let mut client = site.connect(http).await;
            let (stop, asked, failed) = (stop.clone(), asked.clone(), failed.clone());
            tasks.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let status = client.get("/").await.status;
                    asked.fetch_add(1, Ordering::Relaxed);
                    failed.fetch_add(usize::from(status != 200), Ordering::Relaxed);
                }
            });
        }
        Self { tasks, stop, asked, failed }
    }

    /// Ends them; each has asked, and no request has failed.
    async fn end(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("a client that does not panic");
        }
        assert!(self.asked.load(Ordering::Relaxed) > 10);
        assert_eq!(self.failed.load(Ordering::Relaxed), 0);
    }
}

/// Waits until every one of many requests is answered by one of these, and each of them answers.
async fn answered_by(site: &Running, expected: &[&str]) {
    let mut client = site.connect(Http::H1).await;
    eventually(&format!("requests go to {expected:?} alone"), async || {
        let mut found = std::collections::BTreeSet::new();
        for _ in 0..30 {
            found.insert(client.get("/").await.text().to_owned());
        }
        found.iter().map(String::as_str).eq(expected.iter().copied())
    })
    .await;
}

/// A site whose endpoints are asked in turns: the host's own choice leaves one alone for a while whose first answer was slow.
fn site(web: serde_json::Value) -> Site {
    let turns = json!({ "algorithm": "weighted_round_robin" });
    Site::new().plugin("turns", "balance", turns).chain(&["turns"]).set("upstream.web", web)
}

#[tokio::test]
async fn a_name_that_changes_moves_requests_and_fails_none() {
    let fleet = Fleet::on(&[[127, 0, 0, 2], [127, 0, 0, 3]]);
    let mut server = NameServer::start("127.0.0.2 web.test\n", &[]).await;
    let web = json!({ "endpoints": [format!("web.test:{}", fleet.port)], "tls": false });
    let site = site(web).set("dns", server.dns()).start().await;
    // The host was up when the first answer was there.
    assert_eq!(site.get("/").await.text(), "127.0.0.2");
    let clients = Clients::of(&site).await;
    server.knows("127.0.0.2 web.test\n127.0.0.3 web.test\n");
    answered_by(&site, &["127.0.0.2", "127.0.0.3"]).await;
    server.knows("127.0.0.3 web.test\n");
    answered_by(&site, &["127.0.0.3"]).await;
    // A name that is gone, and nobody to ask: what is known stays.
    server.knows("127.0.0.4 other.test\n");
    let log = async |what: &str| {
        eventually(what, async || site.admin().get("/endpoints").await.text().contains("127.0.0.3")).await
    };
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    log("the endpoint stays without its name").await;
    server.end();
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    log("the endpoint stays without a server").await;
    answered_by(&site, &["127.0.0.3"]).await;
    server.knows("127.0.0.2 web.test\n");
    server.run().await;
    answered_by(&site, &["127.0.0.2"]).await;
    clients.end().await;
}

#[tokio::test]
async fn a_service_has_the_ports_and_the_first_priority_of_its_records() {
    let (first, second) = (Fleet::on(&[[127, 0, 0, 2]]), Fleet::on(&[[127, 0, 0, 3]]));
    let records = [("a", &first, 1), ("b", &second, 1), ("a", &second, 2)].map(|(target, fleet, priority)| {
        format!("--srv-host=_web._tcp.test,{target}.test,{},{priority},5", fleet.port)
    });
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let server = NameServer::start("127.0.0.2 a.test\n127.0.0.3 b.test\n", &records).await;
    let web = json!({ "discover": { "srv": "_web._tcp.test" }, "tls": false });
    let site = site(web).set("dns", server.dns()).start().await;
    answered_by(&site, &["127.0.0.2", "127.0.0.3"]).await;
    let listed = site.admin().get("/endpoints").await.json();
    let found = listed.pointer("/endpoints").and_then(|all| all.as_array()).map(Vec::len);
    assert_eq!((found, listed.pointer("/endpoints/0/weight")), (Some(2), Some(&json!(5))));
}

#[tokio::test]
async fn more_addresses_than_fit_into_a_packet_are_all_found() {
    let hosts: Vec<String> = (1..=60).map(|last| format!("127.0.1.{last} many.test\n")).collect();
    let server = NameServer::start(&hosts.concat(), &[]).await;
    let site = site(json!({ "endpoints": ["many.test:9"], "tls": false })).set("dns", server.dns()).start().await;
    let listed = site.admin().get("/endpoints").await.json();
    assert_eq!(listed.pointer("/endpoints").and_then(|all| all.as_array()).map(Vec::len), Some(60));
}

#[tokio::test]
async fn a_host_starts_without_a_name_and_takes_it_when_it_is_there() {
    let fleet = Fleet::on(&[[127, 0, 0, 2]]);
    let server = NameServer::start("127.0.0.9 other.test\n", &[]).await;
    let web = json!({ "endpoints": [format!("late.test:{}", fleet.port)], "tls": false });
    let site = site(web).set("dns", server.dns()).start().await;
    assert_eq!(site.get("/").await.status, 503);
    server.knows("127.0.0.2 late.test\n");
    eventually("the name is found", async || site.get("/").await.status == 200).await;
}

#[tokio::test]
async fn a_file_that_changes_moves_requests_and_a_bad_one_nothing() {
    let fleet = Fleet::on(&[[127, 0, 0, 2], [127, 0, 0, 3]]);
    let line = |last: u8| format!("127.0.0.{last}:{} weight=2\n", fleet.port);
    let web = json!({ "discover": { "file": "web.endpoints" }, "health": { "check": "tcp", "interval": "100ms" }, "tls": false });
    let site = site(web).file("web.endpoints", line(2)).start().await;
    let file = site.folder().path().join("web.endpoints");
    assert_eq!(site.get("/").await.text(), "127.0.0.2");
    let clients = Clients::of(&site).await;
    rename(&file, line(2) + &line(3));
    answered_by(&site, &["127.0.0.2", "127.0.0.3"]).await;
    becomes(&site, 1, "healthy").await;
    rename(&file, line(3));
    answered_by(&site, &["127.0.0.3"]).await;
    for bad in ["", "127.0.0.2\n", "127.0.0.2:80\nwhat is this\n"] {
        rename(&file, bad);
        tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
        answered_by(&site, &["127.0.0.3"]).await;
    }
    std::fs::remove_file(&file).expect("a file");
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    answered_by(&site, &["127.0.0.3"]).await;
    rename(&file, line(2));
    answered_by(&site, &["127.0.0.2"]).await;
    clients.end().await;
}

#[tokio::test]
async fn a_backup_in_a_file_is_asked_when_no_other_is_healthy() {
    let fleet = Fleet::on(&[[127, 0, 0, 2], [127, 0, 0, 3]]);
    let line = |last: u8, rest: &str| format!("127.0.0.{last}:{} {rest}\n", fleet.port);
    let web = json!({ "discover": { "file": "web.endpoints" }, "tls": false });
    let both = line(2, "backup") + &line(3, "");
    let site = Site::new().set("upstream.web", web).file("web.endpoints", both).start().await;
    for _ in 0..10 {
        assert_eq!(site.get("/").await.text(), "127.0.0.3");
    }
    let file = site.folder().path().join("web.endpoints");
    rename(&file, line(2, "backup"));
    answered_by(&site, &["127.0.0.2"]).await;
    // Both levels are wanted while neither has enough, and the first one alone while it has.
    rename(&file, line(2, "priority=2") + &line(3, "priority=7"));
    for _ in 0..10 {
        assert_eq!(site.get("/").await.text(), "127.0.0.2");
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_is_a_problem_before_anything_starts() {
    let web = json!({ "discover": { "file": "web.endpoints" }, "tls": false });
    let (folder, _) = Site::new().set("upstream.web", web).write();
    let check = async || harness::run_command("palisade", &["check", "palisade.toml"], folder.path()).await;
    let ended = check().await;
    assert!(ended.stderr.contains("its endpoints cannot be read") && ended.code == Some(1), "{}", ended.stderr);
    folder.write("web.endpoints", "127.0.0.1:80 weight=x\n");
    assert!(check().await.stderr.contains("web.endpoints:1: \"x\" is not a weight: expected 1 to 65535"));
    folder.write("web.endpoints", "127.0.0.1:80\n");
    assert_eq!(check().await.code, Some(0));
}
