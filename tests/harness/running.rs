//! A host at work, as its clients, its origins and its operator see it.

use std::net::SocketAddr;

use crate::host::Host;
use crate::{Admin, Client, Dial, Ended, Folder, HOST, Http, Origin, Process, Raw, Reply, curl, eventually};

/// A host at work. Dropping it ends it.
#[derive(Debug)]
pub struct Running {
    pub(crate) host: Host,
    pub(crate) addresses: Vec<(String, SocketAddr)>,
    pub(crate) admin: Admin,
    pub(crate) origins: Vec<Origin>,
    pub(crate) folder: Folder,
}

impl Running {
    /// Where a listener listens.
    ///
    /// # Panics
    /// There is no such listener.
    #[must_use]
    pub fn address(&self, listener: &str) -> SocketAddr {
        let found = self.addresses.iter().find(|(name, _)| name == listener);
        found.unwrap_or_else(|| panic!("no listener {listener:?}")).1
    }

    /// A client that is about to connect.
    #[must_use]
    pub fn dial(&self, http: Http) -> Dial {
        let listener = if http == Http::Plain { "plain" } else { "public" };
        Dial { address: self.address(listener), http, source: None, host: HOST.into() }
    }

    /// A client with a connection of its own.
    ///
    /// # Panics
    /// The host does not take it.
    pub async fn connect(&self, http: Http) -> Client {
        self.dial(http).connect().await.unwrap_or_else(|error| panic!("{http:?}: {error}"))
    }

    /// One request over HTTP/1.1 with TLS, on a connection of its own.
    pub async fn get(&self, path: &str) -> Reply {
        self.connect(Http::H1).await.get(path).await
    }

    /// A connection for any bytes: to `plain` as it is, to `public` within TLS with the protocol's ALPN.
    ///
    /// # Panics
    /// The host does not take it.
    pub async fn raw(&self, http: Http) -> Raw {
        let dial = self.dial(http);
        let stream = match http {
            Http::Plain => dial.tcp().await.map(Raw::new),
            Http::H1 | Http::H2 => dial.tls().await.map(Raw::new),
        };
        stream.unwrap_or_else(|error| panic!("{http:?}: {error}"))
    }

    /// Runs curl against `public`, with its name and authority known; the path comes last.
    pub async fn curl(&self, arguments: &[&str], path: &str) -> Ended {
        curl::run(self.address("public"), self.folder.path(), arguments, path).await
    }

    /// The admin listener.
    #[must_use]
    pub fn admin(&self) -> Admin {
        self.admin
    }

    /// The origin of this index, in the order in which they were given.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn origin(&self, index: usize) -> &Origin {
        self.origins.get(index).unwrap_or_else(|| panic!("no origin {index}"))
    }

    /// The folder with `palisade.toml`, `plugins/`, `ca.pem`, `site.pem` and `site.key`.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The host's process.
    ///
    /// # Panics
    /// It runs within this one.
    #[must_use]
    pub fn process(&mut self) -> &mut Process {
        match &mut self.host {
            Host::Process(process) => process,
            Host::InProcess(_) => panic!("the host runs within this process: use `start_process`"),
        }
    }

    /// Ends the host's process and starts another one in the same folder.
    ///
    /// # Panics
    /// It runs within this one, or the other one does not start.
    pub async fn restart(&mut self) {
        self.process().signal("TERM");
        self.process().wait().await;
        let (process, addresses, admin) = Process::start(&self.folder).await;
        (self.host, self.addresses, self.admin) = (Host::Process(process), addresses, Admin(admin));
    }

    /// Waits until no exchange is under way and no plugin is held.
    pub async fn idle(&self) {
        eventually("nothing is under way", async || {
            let metrics = self.admin.metrics().await;
            let busy = metrics.count("palisade_exchanges_active", &[]) + metrics.count("palisade_plugin_leases", &[]);
            busy == 0
        })
        .await;
    }

    /// Drains the host and waits for its end. The origins stay until the result is dropped.
    pub async fn shut_down(self) -> Vec<Origin> {
        match self.host {
            Host::InProcess(host) => host.shut_down().await,
            Host::Process(mut process) => {
                process.signal("TERM");
                let ended = process.wait().await;
                assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            }
        }
        self.origins
    }
}
