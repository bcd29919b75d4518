//! The admin listener, asked as an operator and a scraper ask it.

use std::net::SocketAddr;

use serde_json::Value;

use crate::{Client, Dial, Http, Metrics, Reply};

/// The admin listener of one host.
#[derive(Debug, Clone, Copy)]
pub struct Admin(pub(crate) SocketAddr);

/// What `/plugins` says of one plugin.
#[derive(Debug, Clone)]
pub struct Figures(Value);

impl Admin {
    /// Where it listens.
    #[must_use]
    pub fn address(self) -> SocketAddr {
        self.0
    }

    /// Asks it.
    ///
    /// # Panics
    /// It does not answer.
    pub async fn get(self, path: &str) -> Reply {
        self.connect().await.get(path).await
    }

    /// A client of it.
    ///
    /// # Panics
    /// It does not answer.
    pub async fn connect(self) -> Client {
        let dial = Dial { address: self.0, http: Http::Plain, source: None, host: "localhost".into() };
        dial.connect().await.unwrap_or_else(|error| panic!("the admin listener: {error}"))
    }

    /// Has the host reload, as `palisade reload` does, and gives the status and what came of it.
    ///
    /// # Panics
    /// It does not answer.
    pub async fn reload(self) -> (u16, Value) {
        let request = http::Request::post("/reload").header("x-palisade-admin", "1").body(crate::Body::empty());
        let reply = self.connect().await.send(request.expect("a request")).await;
        let reply = reply.unwrap_or_else(|error| panic!("the admin listener: {error}"));
        (reply.status, reply.json())
    }

    /// What is wrong, as `/plugins` says it.
    pub async fn problems(self) -> Vec<String> {
        let all = self.get("/plugins").await.json();
        let problems = all["problems"].as_array().into_iter().flatten();
        problems.map(|problem| problem.as_str().unwrap_or_default().to_owned()).collect()
    }

    /// `/metrics`, read.
    pub async fn metrics(self) -> Metrics {
        Metrics::parse(self.get("/metrics").await.text())
    }

    /// What `/plugins` says of the plugin of this name.
    ///
    /// # Panics
    /// It says nothing.
    pub async fn plugin(self, name: &str) -> Figures {
        let all = self.get("/plugins").await.json();
        let plugin = all["plugins"].as_array().and_then(|all| all.iter().find(|plugin| plugin["name"] == name));
        Figures(plugin.unwrap_or_else(|| panic!("no plugin {name} in {all}")).clone())
    }
}

impl Figures {
    /// `running` or `failed`.
    #[must_use]
    pub fn state(&self) -> &str {
        self.0["state"].as_str().unwrap_or_default()
    }

    /// What it failed with last, or empty.
    #[must_use]
    pub fn last_error(&self) -> &str {
        self.0["last_error"].as_str().unwrap_or_default()
    }

    /// Calls of a phase, by the phase's interface.
    #[must_use]
    pub fn calls(&self, phase: &str) -> u64 {
        self.0["phases"][phase]["calls"].as_u64().unwrap_or_default()
    }

    /// Failed calls of a phase for this reason, such as `trap` or `deadline`.
    #[must_use]
    pub fn failures(&self, phase: &str, reason: &str) -> u64 {
        self.0["phases"][phase]["failures"][reason].as_u64().unwrap_or_default()
    }

    /// Everything.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.0
    }
}
