//! A real MariaDB server.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use harness::{Folder, run_command, signal};
use tokio::process::{Child, Command};

/// A server with a folder and ports of its own. Dropping it ends it.
pub(super) struct Server {
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
    /// One that is up, and takes nobody without TLS: neither others nor this user. The folder has the test's certificates.
    pub(super) async fn within_tls(folder: &Folder, user: &str) -> Self {
        let at = |file: &str| folder.path().join(file).display().to_string();
        let lines = format!(
            "ssl-cert={}\nssl-key={}\nssl-ca={}\nrequire_secure_transport=ON\n",
            at("site.pem"),
            at("site.key"),
            at("ca.pem"),
        );
        let mut server = Self::new(folder, "one", &lines).await;
        server.start(&[]);
        server.is_up().await;
        server.does(&format!("CREATE USER {user}@'%' REQUIRE SSL")).await;
        server
    }

    /// A folder with the tables of the system, and a config with these lines. The folder has the test's certificates.
    pub(super) async fn new(site: &Folder, name: &str, lines: &str) -> Self {
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

    pub(super) fn start(&mut self, more: &[&str]) {
        let defaults = format!("--defaults-file={}", self.folder.join("my.cnf").display());
        let mut command = Command::new("mariadbd");
        command.arg(defaults).args(more).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.kill_on_drop(true).spawn().expect("mariadbd; run `cargo xtask test`"));
    }

    /// What it answers; none where it does not.
    pub(super) async fn ask(&self, question: &str) -> Option<String> {
        let socket = format!("--socket={}", self.folder.join("s").display());
        let arguments = ["--no-defaults", "-N", &socket, "-uroot", "--connect-timeout=1", "-e", question];
        let ended = run_command("mariadb", &arguments, &self.folder).await;
        (ended.code == Some(0)).then(|| ended.stdout.trim().to_owned())
    }

    pub(super) async fn does(&self, order: &str) {
        assert!(self.ask(order).await.is_some(), "{order}: {}", self.log());
    }

    pub(super) async fn is_up(&self) {
        let began = Instant::now();
        while self.ask("SELECT 1").await.is_none() {
            assert!(began.elapsed() < LIMIT, "{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(super) async fn is_synced(&self) {
        let began = Instant::now();
        let state = "SHOW STATUS LIKE 'wsrep_local_state'";
        while !self.ask(state).await.is_some_and(|state| state.ends_with('4')) {
            assert!(began.elapsed() < LIMIT, "{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(super) fn signal(&self, name: &str) {
        let id = self.process.as_ref().and_then(Child::id).expect("a process");
        signal(id, name);
    }

    pub(super) async fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await.expect("a process");
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.sql))
    }

    pub(super) fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.join("log.err")).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(40).collect();
        last.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// How long a server may take for anything.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// Ports that nobody has at the moment, each another one.
pub(super) fn free<const N: usize>() -> [u16; N] {
    let sockets: [TcpListener; N] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").expect("a port"));
    sockets.map(|socket| socket.local_addr().expect("an address").port())
}

fn is_root() -> bool {
    Path::new("/root").metadata().is_ok_and(|_| std::fs::read_dir("/root").is_ok())
}
