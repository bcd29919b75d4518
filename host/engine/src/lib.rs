//! Turns plugin bytes into something an exchange can be passed through.
//!
//! Three types carry a plugin through its life, and the order cannot be skipped: a [`Module`] is a file, checked and
//! compiled and shared by everyone; a [`Plugin`] adds one configuration's settings, grants and limits, and has been
//! configured once; an instance is live memory on one worker, behind the [`palisade_contract::Filter`] that
//! [`palisade_contract::Plugin::open`] gives.
//!
//! There is no socket, no HTTP server, no route here, so any Rust server can embed it: see `examples/embed`, and `palisade-tower`
//! for a layer around tower and axum services.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use http::StatusCode;
//! use palisade_contract::{
//!     Chain, Connection, Exchange, ExchangeId, Plugin as _, Protocol, Reply, RequestHead, SystemClock, WorkerServices,
//! };
//! use palisade_engine::{Capability, Engine, Module, Options, Plugin, PluginConfig, Services};
//!
//! # async fn embed(connection: Connection, parts: http::request::Parts) -> Result<(), Box<dyn std::error::Error>> {
//! // Once: an engine, and a plugin for each file with each configuration.
//! let engine = Engine::new(&Options::default(), Services::default())?;
//! let module = Module::new(&engine, &std::fs::read("firewall.wasm")?)?;
//! let config = PluginConfig {
//!     settings: serde_json::json!({ "deny": ["203.0.113.0/24"] }),
//!     grants: vec![Capability::Metrics],
//!     ..PluginConfig::new("edge", "firewall")
//! };
//! let plugin = Plugin::new(&engine, &module, &config)?;
//!
//! // On each thread that serves: a chain of warm instances, which that thread alone uses.
//! let chain = Chain::new(&[plugin.open(&WorkerServices::default())]);
//!
//! // For each connection, and for each exchange on it.
//! if chain.admits(&connection) {
//!     let head = RequestHead::from_parts(parts).ok_or("no host, or no path")?;
//!     let exchange = Exchange::new(ExchangeId::next(), Arc::new(connection), Protocol::Http1, head);
//!     let application = async |_: &RequestHead| Reply::text(StatusCode::OK, "hello\n");
//!     match chain.exchange(exchange, &SystemClock, application).await {
//!         Some(reply) => println!("{}", reply.status),
//!         None => println!("a plugin closes the connection"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Threads and time
//!
//! [`Engine`], [`Module`] and [`Plugin`] can be shared and sent; making them takes milliseconds to seconds, so it is not done
//! where requests are served. A [`palisade_contract::Filter`] stays on its thread. That thread needs [`Options::stack_bytes`] and
//! 256 KiB more of stack. A call runs on it, and is cut at [`PluginLimits::deadline`]; a thread of the engine's own watches that.
//! Compiled code is kept in [`Options::cache`], where that is given.
//!
//! # Failures
//!
//! What is wrong with a file, or with what it asks for, is a [`Reason`], in a sentence for the operator. What a guest does
//! wrong later costs the exchange at hand, or what its `on_error` says of it, and the instance; never the host and never another
//! plugin. [`Plugin::stats`] counts it.

#![deny(unsafe_code)]
// Machine code is loaded in cache.rs and, in a build without a compiler, in no_compiler.rs, and called in direct; address_space.rs looks for room. Each has its reason.
#![cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "what images are made of is noted down for nobody"))]

mod abi;
mod account;
mod address_space;
mod allowance;
mod backoff;
mod before;
mod body;
mod budget;
mod cache;
mod cache_size;
mod callouts;
mod carried;
#[cfg(feature = "compiler")]
mod carry;
mod compiled;
#[cfg(feature = "compiler")]
mod compiler;
#[cfg(not(feature = "compiler"))]
#[path = "no_compiler.rs"]
mod compiler;
#[cfg(feature = "compiler")]
mod configured;
mod direct;
mod error;
mod events;
mod failure;
mod filter;
mod functions;
mod host;
mod image;
mod instance;
mod instances;
mod library;
mod limits;
mod manifest;
mod memory_store;
mod meters;
mod module;
mod parallel;
mod plugin;
mod plugin_file;
mod pool;
mod runtime;
mod source;
mod state;
mod stats;
mod stream;
mod version;
mod waiting;

pub use account::Account;
pub use compiled::Executor;
#[cfg(feature = "compiler")]
pub use compiler::{Processors, compile};
pub use error::{LoadError, Reason};
pub use library::{File, Folder, Library};
pub use manifest::{ABI, About, Form, Manifest};
pub use memory_store::MemoryStore;
pub use module::Module;
/// How a plugin is configured: what an embedder writes in Rust and the host reads from its config file.
pub use palisade_config::{
    Capability, Isolation, Life, Plugin as PluginConfig, PluginLimits, SharedSpace, TrustedKey, TrustedKeys,
};
pub use plugin::Plugin;
pub use plugin_file::PluginFile;
pub use runtime::{Engine, EngineError, Options};
pub use state::Services;
pub use stats::{FailureKind, PhaseFigures, Stats};
