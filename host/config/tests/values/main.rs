//! Good configs and what is read from them.

mod defaults;
mod files;
mod listeners;
mod plugins;
mod routes;
mod upstreams;
mod warnings;

use std::{net::SocketAddr, num::NonZeroUsize, path::Path, time::Duration};

use palisade_config::{
    Acme, AcmeCertificate, AcmeChallenge, Action, Admin, Backoff, Bounds, Capability, CertificateFiles, ChainEntry,
    ChainMode, Circuit, ClientCertificates, ClientMode, Config, Discover, Dns, Ejection, Endpoint, Engine, ErrorRate,
    FileCertificate, HealthAsk, HealthCheck, Hedge, HostPattern, HttpVersions, Isolation, Life, Listener,
    ListenerCertificate, ListenerLimits, ListenerProtocol, ListenerTls, Log, LogFormat, LogLevel, Mirror,
    NamedEndpoint, OnError, PathPolicy, Plugin, PluginLimits, ProxyProtocol, ReadError, Retries, RetryBudget, RetryOn,
    Route, Share, SharedSpace, Shutdown, Split, Sticky, Streams, TlsVersion, Upstream, UpstreamProtocol, UpstreamTls,
};
use serde_json::json;

const EVERY_KEY: &str = include_str!("../every_key.toml");

fn small_route() -> Route {
    Route {
        name: "public/0".to_owned(),
        hosts: Vec::new(),
        path: "/".to_owned(),
        upstream: 0,
        alternatives: Vec::new(),
        split: None,
        mirror: None,
        chain: Vec::new(),
        streams: streams(),
    }
}

fn streams() -> Streams {
    Streams {
        upgrades: vec!["websocket".to_owned()],
        tunnel_timeout: Duration::from_secs(3_600),
        body_timeout: None,
        response_timeout: None,
        total_timeout: None,
    }
}

fn enforced(plugin: usize) -> ChainEntry {
    ChainEntry { plugin, mode: ChainMode::Enforce }
}

fn in_shadow(plugin: usize) -> ChainEntry {
    ChainEntry { plugin, mode: ChainMode::Shadow }
}

const SMALL: &str = "[upstream.web]
endpoints = [\"127.0.0.1:80\"]
[[listener]]
name = \"public\"
bind = \"127.0.0.1:8080\"
[[listener.route]]
upstream = \"web\"
";

#[track_caller]
#[expect(clippy::expect_used, reason = "a case that is no config fails its test")]
fn good(text: &str) -> Config {
    Config::parse(text, Path::new("conf/palisade.toml")).expect(text)
}

#[track_caller]
#[expect(clippy::expect_used, reason = "written in the test")]
fn address(text: &str) -> SocketAddr {
    text.parse().expect(text)
}
