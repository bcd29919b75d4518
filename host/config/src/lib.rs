//! Config text in, checked values out, or every problem at once.
//!
//! Whoever holds a [`Config`] need not check it again: names are unique and
//! refer to something, numbers are in range, paths are complete. The crate
//! opens no socket and looks at no file but the config itself: whether a
//! certificate, a plugin or an address is there shows when it is used.

#![forbid(unsafe_code)]

mod acme;
mod address;
mod admin;
mod chain;
mod circuit;
mod config;
mod discover;
mod duration;
mod ejection;
mod engine;
mod file_path;
mod health;
mod hedge;
mod host;
mod life;
mod listener;
mod listener_limits;
mod log;
mod mirror;
mod name;
mod plugin;
mod problem;
mod redirect;
mod reference;
mod retries;
mod route;
mod scope;
mod settings;
mod shared;
mod shutdown;
mod size;
mod split;
mod streams;
mod text;
mod tls;
mod trusted_key;
mod upstream;

pub use acme::{Acme, AcmeCertificate, AcmeChallenge};
pub use admin::Admin;
pub use chain::{ChainEntry, ChainMode};
pub use circuit::{Circuit, ErrorRate};
pub use config::{Config, ReadError};
pub use discover::{Discover, Dns, NamedEndpoint};
pub use ejection::Ejection;
pub use engine::Engine;
pub use health::{HealthAsk, HealthCheck};
pub use hedge::Hedge;
pub use host::HostPattern;
pub use ipnet::IpNet;
pub use life::{Backoff, Isolation, Life};
pub use listener::{Action, HttpVersions, Listener, ListenerProtocol, PathPolicy};
pub use listener_limits::ListenerLimits;
pub use log::{Log, LogFormat, LogLevel};
pub use mirror::Mirror;
pub use palisade_contract::{Bounds, OnError};
pub use palisade_signature::{TrustedKey, TrustedKeys};
pub use plugin::{Capability, Plugin, PluginLimits};
pub use problem::{Problem, Problems};
pub use retries::{Retries, RetryBudget, RetryOn};
pub use route::Route;
pub use shared::SharedSpace;
pub use shutdown::Shutdown;
pub use split::{Share, Split, Sticky};
pub use streams::Streams;
pub use tls::{
    CertificateFiles, ClientCertificates, ClientMode, FileCertificate, ListenerCertificate, ListenerTls, TlsVersion,
    UpstreamTls,
};
pub use upstream::{Endpoint, ProxyProtocol, Upstream, UpstreamProtocol};
