//! Sockets, TLS, HTTP, routes and upstreams: everything between a client's byte and an endpoint's.
//!
//! One worker per core, each with its own sockets, plugin instances and connections to endpoints. A request is decoded to
//! one form, passes its route's chain, goes to an endpoint and comes back the same way: `serve` is the whole of it, for
//! every protocol. Bodies are streamed; nothing is gathered.
//!
//! What a chain does is the contract's business (`palisade-contract`), what a plugin is made of the engine's: neither
//! WebAssembly nor configuration text is known here.

#![forbid(unsafe_code)]

mod accept;
mod activity;
mod body;
mod client;
mod counter;
mod date;
mod error;
mod explain;
mod filtering;
mod fingerprint;
mod guard;
mod hints;
mod http3;
mod hygiene;
mod inherited;
mod io;
mod linger;
mod moment;
mod places;
mod plan;
mod proxy_protocol;
mod quic;
mod record;
mod refusals;
mod routes;
mod serve;
mod server;
mod serving;
mod site;
mod sockets;
mod split;
mod stream;
mod ticking;
mod tls;
mod tunnel;
mod upstream;
mod worker;

pub use explain::{EXPLAIN, Explanation, Explanations, Unexplained};
pub use inherited::Inherited;
pub use moment::TurnClock;
pub use plan::{Parts, PlanError};
pub use server::{Bound, Running, StartError};
pub use tls::{Answering, CertificateError, Challenges, Issued, ShownCertificate, StapleError};
pub use upstream::{Order as EndpointOrder, OwnChoice, SeenEndpoint, Standing, Unknown as UnknownEndpoint};
pub use upstream::{UpstreamTlsError, UpstreamTlsReason};
