//! Turns plugin bytes into something an exchange can be passed through.
//!
//! Three types carry a plugin through its life, and the order cannot be skipped: a [`Module`] is a file, checked and
//! compiled and shared by everyone; a [`Plugin`] adds one configuration's settings, grants and limits, and has been
//! configured once; an instance is live memory on one worker, behind the [`palisade_contract::Filter`] that
//! [`palisade_contract::Plugin::open`] gives.
//!
//! There is no socket, no HTTP server, no route here, so any Rust server can embed it: see `examples/embed`.
//!
//! What a guest does wrong costs the exchange at hand, or what its `on_error` says of it, and the instance; never the
//! host and never another plugin.

#![deny(unsafe_code)] // One file, cache.rs, has the one exception and its reason.

mod abi;
mod account;
mod allowance;
mod before;
mod body;
mod cache;
mod cache_size;
mod callouts;
mod error;
mod events;
mod failure;
mod filter;
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
mod version;
mod waiting;

pub use account::Account;
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
