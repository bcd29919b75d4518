//! A whole host in one line of a test: configuration, plugins, origins and clients, all on real sockets.
//!
//! ```ignore
//! let site = Site::new().plugin("a", "tag", json!({ "name": "a" })).chain(&["a"]).origin(Origin::echo()).start().await;
//! let reply = site.connect(Http::H2).await.get("/").await;
//! assert_eq!((reply.status, reply.values("x-tag")), (200, vec!["a"]));
//! ```
//!
//! Nothing sleeps to wait: [`eventually`] asks again until what is waited for is so. Whatever goes wrong here panics,
//! because nothing but a test calls it. Plugins and guests come from `cargo xtask plugins`.

#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and its limits are on real time"
)]

mod admin;
mod artifacts;
mod body;
mod certificate;
mod client;
mod curl;
mod folder;
mod host;
pub mod http2;
mod metrics;
mod origin;
mod pattern;
mod pebble;
mod process;
mod quic;
mod raw;
mod reply;
mod running;
mod site;
mod wait;

pub use admin::{Admin, Figures};
pub use artifacts::{Form, bytes_of, cache, origin_program, program};
pub use body::{Body, Feed};
pub use client::{Client, ClientError, Dial, Http};
pub use folder::Folder;
pub use metrics::Metrics;
pub use origin::{Answer, Origin, Seen};
pub use pebble::{Behaviour, Pebble};
pub use process::{Ended, Process, run_command, signal, start_command};
pub use quic::{Aioquic, Quic, reply};
pub use raw::Raw;
pub use reply::Reply;
pub use running::Running;
pub use site::{HOST, Site};
pub use wait::{LIMIT, eventually};
