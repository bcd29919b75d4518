//! A host with everything around it, described and started in one line of a test.

use palisade_config::Config;
use serde_json::{Map, Value, json};

use crate::host::{Host, InProcess};
use crate::{Admin, Folder, Form, Origin, Process, Running, artifacts, bytes_of, certificate};

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
    expects: Expects,
}

/// What is to become of a site's plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expects {
    /// All of them run. A test of anything else would hold for a site without them.
    AllRun,
    Anything,
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
        Self { config, files, modules, form: Form::Module, origins, routes, expects: Expects::AllRun }
    }

    /// One more configured plugin: its name, its module and its settings. It is granted `metrics`, and may take 30 s for a
    /// call: on a busy machine the default of 50 ms can pass while a worker does not run at all.
    #[must_use]
    pub fn plugin(mut self, name: &str, module: &str, settings: Value) -> Self {
        self.modules.push(module.to_owned());
        let plugin =
            json!({ "module": module, "grant": ["metrics"], "settings": settings, "limits": { "deadline": "30s" } });
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

    /// Plugins may fail to load, or may be broken by the time that the host is up: the test is about that.
    #[must_use]
    pub fn with_problems(mut self) -> Self {
        self.expects = Expects::Anything;
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
    /// It does not start, or a plugin does not run and the site has not said that it may.
    pub async fn start(self) -> Running {
        let expects = self.expected();
        let (folder, origins) = self.write();
        let config = Config::read(&folder.path().join("palisade.toml"));
        let config = config.unwrap_or_else(|error| panic!("the test's config: {error}"));
        let (host, addresses, admin) = InProcess::start(config).await;
        let running = Running { host: Host::InProcess(host), addresses, admin: Admin(admin), origins, folder };
        expects.check(&running).await;
        running
    }

    /// Starts the host's own program, which can be signalled and measured.
    ///
    /// # Panics
    /// It does not start, or a plugin does not run and the site has not said that it may.
    pub async fn start_process(self) -> Running {
        let expects = self.expected();
        let (folder, origins) = self.write();
        let (process, addresses, admin) = Process::start(&folder).await;
        let running = Running { host: Host::Process(process), addresses, admin: Admin(admin), origins, folder };
        expects.check(&running).await;
        running
    }

    fn expected(&self) -> Expects {
        // Without plugins there is nothing to ask.
        if self.modules.is_empty() { Expects::Anything } else { self.expects }
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

impl Expects {
    async fn check(self, running: &Running) {
        if self == Self::Anything {
            return;
        }
        let all = running.admin().get("/plugins").await.json();
        let failed = all["plugins"].as_array().into_iter().flatten().find(|plugin| plugin["state"] == "failed");
        if let Some(plugin) = failed {
            panic!("a plugin of the site does not run, which `with_problems` would allow: {plugin}");
        }
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
