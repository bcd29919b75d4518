//! Pebble, the ACME server that Let's Encrypt tests clients with, and a name server that knows every name.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::process::Stdio;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::json;
use tokio::process::{Child, Command};

use crate::{Ended, Folder, eventually, run_command};

/// An authority at work. Dropping it ends it.
#[derive(Debug)]
pub struct Pebble {
    folder: Folder,
    acme: SocketAddr,
    management: SocketAddr,
    names: SocketAddr,
    programs: Vec<Child>,
}

/// How an authority is to behave.
#[derive(Debug, Clone, Copy)]
pub struct Behaviour {
    /// Where it looks at challenges: the ports of 127.0.0.1 that stand for 80 and 443.
    pub http_port: u16,
    /// The other one.
    pub tls_port: u16,
    /// How long what it issues is valid, in seconds.
    pub valid_seconds: u64,
}

impl Pebble {
    /// One that is not running yet.
    ///
    /// # Panics
    /// There are no ports.
    #[must_use]
    pub fn new() -> Self {
        let folder = Folder::new();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Not the name that its own certificate has: OpenSSL would take that for its own authority.
        params.distinguished_name.push(DnType::CommonName, "Pebble's root");
        let key = || KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(params, key()).expect("an authority");
        let own = key();
        let params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("names");
        folder.write("ca.pem", authority.pem());
        folder.write("own.pem", params.signed_by(&own, &authority).expect("a certificate").pem());
        folder.write("own.key", own.serialize_pem());
        let [acme, management, names] = [(); 3].map(|()| free());
        Self { folder, acme, management, names, programs: Vec::new() }
    }

    /// The URL of its directory.
    #[must_use]
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.acme.port())
    }

    /// The root that its own server is checked against.
    ///
    /// # Panics
    /// It is gone.
    #[must_use]
    pub fn ca(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("ca.pem")).expect("a file")
    }

    /// Starts it, and waits until it can be asked.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start(&mut self, behaviour: Behaviour) {
        let config = json!({ "pebble": {
            "listenAddress": self.acme.to_string(),
            "managementListenAddress": self.management.to_string(),
            "certificate": "own.pem",
            "privateKey": "own.key",
            "httpPort": behaviour.http_port,
            "tlsPort": behaviour.tls_port,
            "certificateValidityPeriod": behaviour.valid_seconds,
        } });
        self.folder.write("pebble.json", config.to_string());
        let names = self.names.to_string();
        let every_name = ["-dns01", &names, "-http01", "", "-https01", "", "-tlsalpn01", "", "-management", ""];
        let every_name = every_name.into_iter().chain(["-defaultIPv6", ""]);
        let mut challtestsrv = Command::new("pebble-challtestsrv");
        challtestsrv.args(every_name);
        let mut pebble = Command::new("pebble");
        pebble.args(["-config", "pebble.json", "-dnsserver", &names]).env("PEBBLE_VA_NOSLEEP", "1");
        for mut command in [challtestsrv, pebble] {
            command.current_dir(self.folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let child = command.kill_on_drop(true).spawn();
            self.programs.push(child.expect("a program that can be started; run `cargo xtask test`"));
        }
        eventually("the authority is up", async || self.ask("/roots/0").await.code == Some(0)).await;
    }

    /// The root of what it issues, in PEM.
    pub async fn root(&self) -> String {
        self.ask("/roots/0").await.stdout
    }

    async fn ask(&self, path: &str) -> Ended {
        let url = format!("https://{}{path}", self.management);
        run_command("curl", &["--silent", "--fail", "--cacert", "ca.pem", &url], self.folder.path()).await
    }
}

impl Default for Pebble {
    fn default() -> Self {
        Self::new()
    }
}

/// An address for somebody who cannot be given a socket, below the ports that systems give away by themselves.
fn free() -> SocketAddr {
    let mut taken = TAKEN.lock().expect("a list");
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).expect("a small number");
    (first..32_000)
        .chain(20_000..first)
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .filter(|address| !taken.contains(address))
        .find(|address| TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok())
        .inspect(|address| taken.push(*address))
        .expect("a free port")
}

/// Those that this process has given away.
static TAKEN: std::sync::Mutex<Vec<SocketAddr>> = std::sync::Mutex::new(Vec::new());
