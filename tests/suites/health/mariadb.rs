//! Checks of real MariaDB servers: one alone, within TLS too, and three nodes of a Galera cluster.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use harness::{Folder, Running, Site, eventually, run_command, signal};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::{becomes, endpoint, reason_of, state_of};

/// A server with a folder and ports of its own. Dropping it ends it.
struct Server {
    folder: PathBuf,
    sql: u16,
    process: Option<Child>,
}

/// As little memory as it starts with, and nothing that waits for a disk.
const SMALL: &str = "
skip-name-resolve
performance_schema=OFF
innodb_buffer_pool_size=16M
innodb_log_file_size=8M
innodb_log_buffer_size=2M
innodb_flush_log_at_trx_commit=0
innodb_flush_method=nosync
key_buffer_size=1M
aria_pagecache_buffer_size=1M
table_open_cache=64
max_connections=40
innodb_fast_shutdown=2
";

impl Server {
    /// A folder with the tables of the system, and a config with these lines. The folder has the test's certificates.
    async fn new(site: &Folder, name: &str, lines: &str) -> Self {
        let folder = site.path().join(name);
        std::fs::create_dir(&folder).expect("a folder");
        let [sql] = free();
        let server = Self { folder, sql, process: None };
        let at = |file: &str| server.folder.join(file).display().to_string();
        // Not as root: a copy of a node's tables would be made by nobody then, who may not.
        let user = if is_root() { "user=mysql\n" } else { "" };
        let config = format!(
            "[mysqld]\n{user}datadir={}\nsocket={}\npid-file={}\nlog-error={}\ntmpdir={}\nbind-address=127.0.0.1\nport={sql}\n{SMALL}{lines}",
            at("data"),
            at("s"),
            at("pid"),
            at("log.err"),
            at(""),
        );
        std::fs::write(server.folder.join("my.cnf"), config).expect("a config");
        let data = format!("--datadir={}", at("data"));
        if is_root() {
            run_command("chmod", &["755", &site.path().display().to_string()], &server.folder).await;
            run_command("chown", &["mysql", &server.folder.display().to_string()], &server.folder).await;
        }
        let user = if is_root() { "--user=mysql" } else { "--skip-name-resolve" };
        let install = ["--no-defaults", &data, user, "--auth-root-authentication-method=normal", "--skip-test-db"];
        let ended = run_command("mariadb-install-db", &install, &server.folder).await;
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        server
    }

    fn start(&mut self, more: &[&str]) {
        let defaults = format!("--defaults-file={}", self.folder.join("my.cnf").display());
        let mut command = Command::new("mariadbd");
        command.arg(defaults).args(more).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.kill_on_drop(true).spawn().expect("mariadbd; run `cargo xtask test`"));
    }

    /// What it answers; none where it does not.
    async fn ask(&self, question: &str) -> Option<String> {
        let socket = format!("--socket={}", self.folder.join("s").display());
        let arguments = ["--no-defaults", "-N", &socket, "-uroot", "--connect-timeout=1", "-e", question];
        let ended = run_command("mariadb", &arguments, &self.folder).await;
        (ended.code == Some(0)).then(|| ended.stdout.trim().to_owned())
    }

    async fn does(&self, order: &str) {
        assert!(self.ask(order).await.is_some(), "{order}: {}", self.log());
    }

    async fn is_up(&self) {
        let began = Instant::now();
        while self.ask("SELECT 1").await.is_none() {
            assert!(began.elapsed() < LIMIT, "{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn is_synced(&self) {
        let began = Instant::now();
        let state = "SHOW STATUS LIKE 'wsrep_local_state'";
        while !self.ask(state).await.is_some_and(|state| state.ends_with('4')) {
            assert!(began.elapsed() < LIMIT, "{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn signal(&self, name: &str) {
        let id = self.process.as_ref().and_then(Child::id).expect("a process");
        signal(id, name);
    }

    async fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await.expect("a process");
        }
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.sql))
    }

    fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.join("log.err")).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(40).collect();
        last.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// How long a server may take for anything.
const LIMIT: Duration = Duration::from_secs(60);

/// Ports that nobody has at the moment, each another one.
fn free<const N: usize>() -> [u16; N] {
    let sockets: [TcpListener; N] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").expect("a port"));
    sockets.map(|socket| socket.local_addr().expect("an address").port())
}

fn is_root() -> bool {
    Path::new("/root").metadata().is_ok_and(|_| std::fs::read_dir("/root").is_ok())
}

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
    let at = |file: &str| folder.path().join(file).display().to_string();
    let lines = format!(
        "ssl-cert={}\nssl-key={}\nssl-ca={}\nrequire_secure_transport=ON\n",
        at("site.pem"),
        at("site.key"),
        at("ca.pem"),
    );
    let mut server = Server::new(&folder, "one", &lines).await;
    server.start(&[]);
    server.is_up().await;
    server.does("CREATE USER monitor@'%' REQUIRE SSL").await;
    let health = json!({ "check": "mysql", "galera": false, "interval": "200ms" });
    let plain = site(&[server.address()], health.clone()).start().await;
    assert!(reason_of(&endpoint(&plain, 0).await).contains("it refuses"));
    let tls = json!({ "ca": "ca.pem", "server_name": "www.example.test" });
    let site = site(&[server.address()], health).set("upstream.web.tls", tls).start().await;
    assert_eq!(reason_of(&endpoint(&site, 0).await), "");
}

/// From one check to the next.
const INTERVAL: Duration = Duration::from_millis(1_500);

/// Three nodes that copy each other's tables.
struct Cluster {
    _folder: Folder,
    nodes: Vec<Server>,
}

impl Cluster {
    async fn start() -> Self {
        let folder = Folder::new();
        let ports: [[u16; 3]; 3] = std::array::from_fn(|_| free());
        let all: Vec<String> = ports.iter().map(|[group, ..]| format!("127.0.0.1:{group}")).collect();
        let mut nodes = Vec::new();
        for (index, [group, ist, sst]) in ports.into_iter().enumerate() {
            let lines = format!(
                "binlog_format=ROW\ndefault_storage_engine=InnoDB\ninnodb_autoinc_lock_mode=2\nwsrep_on=ON\n\
                 wsrep_provider=/usr/lib/galera/libgalera_smm.so\nwsrep_cluster_name=test\nwsrep_cluster_address=gcomm://{}\n\
                 wsrep_node_name=n{index}\nwsrep_node_address=127.0.0.1:{group}\nwsrep_sst_method=rsync\n\
                 wsrep_sst_receive_address=127.0.0.1:{sst}\nwsrep_provider_options=\"gmcast.listen_addr=tcp://127.0.0.1:{group};\
                 ist.recv_addr=127.0.0.1:{ist};gcache.size=8M;{QUICK}\"\n",
                all.join(","),
            );
            nodes.push(Server::new(&folder, &format!("n{index}"), &lines).await);
        }
        let mut cluster = Self { _folder: folder, nodes };
        for (index, node) in cluster.nodes.iter_mut().enumerate() {
            node.start(if index == 0 { &["--wsrep-new-cluster"] } else { &[] });
            node.is_synced().await;
            if index == 0 {
                node.does("CREATE USER monitor@'%'").await;
            }
        }
        cluster
    }

    fn node(&mut self, index: usize) -> &mut Server {
        self.nodes.get_mut(index).expect("a node")
    }
}

/// Nodes that leave are missed sooner than by default.
const QUICK: &str = "evs.keepalive_period=PT0.3S;evs.inactive_check_period=PT0.1S;evs.suspect_timeout=PT1S;\
                     evs.inactive_timeout=PT3S;evs.install_timeout=PT3S;evs.join_retrans_period=PT0.3S";

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
