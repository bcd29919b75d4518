//! A host with everything around it, described and started in one line of a test.

use std::net::SocketAddr;

use palisade_config::Config;
use serde_json::{Map, Value, json};

use crate::host::{Host, InProcess};
use crate::{
    Admin, Client, Dial, Ended, Folder, Form, Http, Origin, Process, Raw, Reply, artifacts, bytes_of, certificate,
    eventually,
};

/// The host that clients ask for unless they are told otherwise.
pub const HOST: &str = "www.example.test";

/// A host that is not running yet.
///
/// It has two listeners with the same chain and routes: `public` (TLS, HTTP/1.1 and HTTP/2) and `plain` (HTTP/1.1). It
/// has one worker, so that plugins have one instance each; the upstream `web`, whose endpoints are its origins; and one
/// route to it. Everything can be set otherwise with [`Site::set`].
#[derive(Debug)]
pub struct Site {
    config: Value,
    files: Vec<(String, Vec<u8>)>,
    modules: Vec<String>,
    form: Form,
    origins: Vec<Origin>,
    routes: Vec<Value>,
}

impl Site {
    /// Without plugins and origins.
    #[must_use]
    pub fn new() -> Self {
        let plain = json!({ "bind": "127.0.0.1:0" });
        let tls = json!({ "certificates": [{ "chain": "site.pem", "key": "site.key" }] });
        let config = json!({
            "plugins_dir": "plugins",
            "cache_dir": artifacts::cache(),
            "workers": 1,
            "log": { "level": "info", "format": "json" },
            "admin": { "bind": "127.0.0.1:0" },
            "shutdown": { "drain": "5s" },
            "upstream": { "web": { "endpoints": [] } },
            "listener": { "public": { "bind": "127.0.0.1:0", "tls": tls }, "plain": plain },
        });
        let (files, modules, origins, routes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { config, files, modules, form: Form::Module, origins, routes }
    }

    /// One more configured plugin: its name, its module and its settings. It is granted `metrics`.
    #[must_use]
    pub fn plugin(mut self, name: &str, module: &str, settings: Value) -> Self {
        self.modules.push(module.to_owned());
        let plugin = json!({ "module": module, "grant": ["metrics"], "settings": settings });
        self.set(&format!("plugin.{name}"), plugin)
    }

    /// The form that guests are given in; the plugins that ship are modules always.
    #[must_use]
    pub fn form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// A file of the test's own, relative to the config's folder; modules are in `plugins/`.
    #[must_use]
    pub fn file(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push((name.to_owned(), bytes.into()));
        self
    }

    /// The chain of both listeners.
    #[must_use]
    pub fn chain(self, plugins: &[&str]) -> Self {
        self.set("listener.public.chain", json!(plugins)).set("listener.plain.chain", json!(plugins))
    }

    /// One more endpoint of the upstream `web`.
    #[must_use]
    pub fn origin(mut self, origin: Origin) -> Self {
        self.origins.push(origin);
        self
    }

    /// One more route of both listeners, as in the config; its `upstream` is `web` unless it says otherwise.
    #[must_use]
    pub fn route(mut self, mut route: Value) -> Self {
        if route.get("upstream").is_none() {
            set(&mut route, "upstream", json!("web"));
        }
        self.routes.push(route);
        self
    }

    /// Sets any key of the config: `log.level`, `plugin.a.on_error`, `listener.public.limits.headers`. Listeners are
    /// named here, not numbered.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        set(&mut self.config, key, value.into());
        self
    }

    /// Writes everything into a folder of its own, and starts no host.
    ///
    /// # Panics
    /// A module is missing: run `cargo xtask plugins` first.
    #[must_use]
    pub fn write(self) -> (Folder, Vec<Origin>) {
        let folder = Folder::new();
        std::fs::create_dir(folder.path().join("plugins")).expect("a folder for plugins");
        for module in &self.modules {
            folder.write(&format!("plugins/{module}.wasm"), bytes_of(module, self.form));
        }
        for (name, bytes) in &self.files {
            folder.write(name, bytes);
        }
        let certificate = certificate::certificate();
        folder.write("ca.pem", &certificate.authority);
        folder.write("site.pem", &certificate.chain);
        folder.write("site.key", &certificate.key);
        let (config, origins) = self.config();
        folder.write("palisade.toml", toml::to_string(&config).expect("a config that TOML can say"));
        (folder, origins)
    }

    /// Starts the host within this process.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start(self) -> Running {
        let (folder, origins) = self.write();
        let config = Config::read(&folder.path().join("palisade.toml"));
        let config = config.unwrap_or_else(|error| panic!("the test's config: {error}"));
        let (host, addresses, admin) = InProcess::start(config).await;
        Running { host: Host::InProcess(host), addresses, admin: Admin(admin), origins, folder }
    }

    /// Starts the host's own program, which can be signalled and measured.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start_process(self) -> Running {
        let (folder, origins) = self.write();
        let (process, addresses, admin) = Process::start(&folder).await;
        Running { host: Host::Process(process), addresses, admin: Admin(admin), origins, folder }
    }

    /// The config as TOML has it, and the origins that it names.
    fn config(self) -> (Value, Vec<Origin>) {
        let mut config = self.config;
        if !self.origins.is_empty() {
            let endpoints: Vec<String> = self.origins.iter().map(|origin| origin.address().to_string()).collect();
            set(&mut config, "upstream.web.endpoints", json!(endpoints));
        }
        let routes = if self.routes.is_empty() { vec![json!({ "upstream": "web" })] } else { self.routes };
        let listeners = config.get("listener").and_then(Value::as_object).cloned().unwrap_or_default();
        let listeners =
            listeners.into_iter().filter(|(_, listener)| !listener.is_null()).map(|(name, mut listener)| {
                set(&mut listener, "name", json!(name));
                if listener.get("route").is_none() && listener.get("redirect_to_https").is_none() {
                    set(&mut listener, "route", json!(routes));
                }
                listener
            });
        let listeners: Vec<Value> = listeners.collect();
        set(&mut config, "listener", json!(listeners));
        (config, self.origins)
    }
}

impl Default for Site {
    fn default() -> Self {
        Self::new()
    }
}

/// Sets the key with all tables on its way.
fn set(table: &mut Value, key: &str, value: Value) {
    if !table.is_object() {
        *table = Value::Object(Map::new());
    }
    let Value::Object(entries) = table else { return };
    match key.split_once('.') {
        None => drop(entries.insert(key.to_owned(), value)),
        Some((first, rest)) => set(entries.entry(first).or_insert(Value::Null), rest, value),
    }
}

/// A host at work. Dropping it ends it.
#[derive(Debug)]
pub struct Running {
    host: Host,
    addresses: Vec<(String, SocketAddr)>,
    admin: Admin,
    origins: Vec<Origin>,
    folder: Folder,
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
        crate::curl::run(self.address("public"), self.folder.path(), arguments, path).await
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

    /// Waits until no exchange is under way and no plugin is held.
    pub async fn idle(&self) {
        eventually("nothing is under way", async || {
            let metrics = self.admin.metrics().await;
            let busy = metrics.sum("palisade_exchanges_active", &[]) + metrics.sum("palisade_plugin_leases", &[]);
            busy == 0.0
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
