//! A [`tower`](tower_service) layer that passes every request through a chain of plugins, before and after the service that
//! it is around: an axum router, or anything else that speaks [`http`].
//!
//! ```
//! use std::net::SocketAddr;
//! use std::sync::Arc;
//!
//! use palisade_contract::Plugin;
//! use palisade_tower::{Options, PalisadeLayer};
//!
//! /// What the server in front puts into each request's extensions; `ConnectInfo` with axum.
//! #[derive(Clone)]
//! struct Peer(SocketAddr);
//!
//! fn around(plugins: &[Arc<dyn Plugin>]) -> std::io::Result<PalisadeLayer> {
//!     PalisadeLayer::new(plugins, &Options::default(), |extensions| extensions.get::<Peer>().map(|peer| peer.0))
//! }
//! # assert!(around(&[]).is_ok());
//! ```
//!
//! Plugins come from `palisade-engine`; filters that are written natively against `palisade-contract` do as well.
//! `examples/embed-axum` has a whole server.
//!
//! # What runs where
//!
//! A plugin's instance is the matter of one thread, and an exchange has to stay with the instances that it began with: what
//! they keep for it, callouts that it waits for and, with `isolation = "request"`, the instance itself. The futures of a
//! service move between the threads of their runtime at every await, so chains that were opened on those threads would lose
//! their exchanges. Therefore a layer has a few threads of its own, [`Options::threads`], with one chain each. An exchange is given
//! to one of them and stays there; heads go back and forth, two hops for a request and two for its response. A plugin that
//! takes long holds up its chain's thread, as it would a worker of the host, and none of the server's.
//!
//! # What runs
//!
//! | phase | |
//! |---|---|
//! | connection filters | A layer sees no connections. They are asked about each request, as if it had come on a connection of its own. |
//! | request filters | In order, before the service is called. What they change is what the service sees. |
//! | request body filters | On the way into the service. A filter that buffers holds the service's call until the body is there. |
//! | balancers | Not at all: there is no endpoint to choose. |
//! | response filters, response body filters | In reverse, on the service's response, and on what plugins answer. |
//! | observers | Hear of the beginning, and of the end when the response's last byte was taken, or the client has left. |
//!
//! Bodies that no filter of the chain asks for stay where they are: they are not copied and do not leave their thread.
//!
//! Heads are in the form of [`palisade_contract::RequestHead`] for filters; what frames or routes the message (`Connection`,
//! `Transfer-Encoding`, `Upgrade` and the like) is kept aside and is there again for the service, so that WebSockets work.
//!
//! # What becomes of failures
//!
//! The service's own errors are passed on as they are, and a layer adds none: whatever a chain refuses is a response.
//!
//! | | status |
//! |---|---|
//! | a plugin replies | its own |
//! | a plugin fails, and its `on_error` is `closed` or unwritten | 503 |
//! | a plugin closes, or a connection filter refuses | 503 without a body; over HTTP/1 with `Connection: close` |
//! | a body is longer than what a filter buffers, and is to be refused | 413 for a request's, 502 for a response's |
//! | the request has no path, or not one host | 400 |
//! | the client's address is not known | 500: rules about addresses would not hold |
//!
//! Where a body filter stops a body that is on its way already, that body ends with an error. If it is a request's, the
//! service's response is replaced by what the filter has decided.

#![forbid(unsafe_code)]

mod body;
mod chains;
mod exchange;
mod front;
mod head;
mod layer;
mod pump;
mod service;
mod told;

pub use body::{Body, BoxError};
pub use layer::{Options, PalisadeLayer};
pub use service::PalisadeService;
