//! Write [Palisade](https://github.com/palisade/palisade) plugins in Rust: implement [`Plugin`] and the phases that you
//! need, and [`register!`] it.
//!
//! A plugin crate is a library of the types `cdylib` (for the host) and `rlib` (for its tests), and depends on this crate,
//! `serde` and `schemars`. It holds no WIT and no generated code.
//!
//! ```
//! use palisade_sdk::prelude::*;
//!
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Settings {
//!     /// Prefixes of paths that are refused.
//!     deny: Vec<String>,
//!     #[serde(default = "forbidden")]
//!     status: u16,
//! }
//!
//! fn forbidden() -> u16 {
//!     403
//! }
//!
//! struct Firewall {
//!     settings: Settings,
//!     denied: Counter,
//! }
//!
//! impl Plugin for Firewall {
//!     type Settings = Settings;
//!
//!     fn configure(settings: Settings, host: &mut Setup) -> Result<Self, Error> {
//!         if let Some(index) = settings.deny.iter().position(|prefix| !prefix.starts_with('/')) {
//!             return Err(Error::setting(format!("deny[{index}]"), "does not start with /"));
//!         }
//!         Ok(Self { denied: host.counter("denied_total", "requests refused"), settings })
//!     }
//! }
//!
//! impl RequestFilter for Firewall {
//!     fn on_request(&mut self, request: &mut Request) -> Result<Flow, Error> {
//!         if self.settings.deny.iter().any(|prefix| request.path().starts_with(prefix)) {
//!             self.denied.add(1);
//!             return Ok(Reply::status(self.settings.status).text("refused\n").into());
//!         }
//!         Ok(Flow::Continue)
//!     }
//! }
//!
//! register!(Firewall: RequestFilter);
//!
//! // In the crate's tests: no Wasm, and no host.
//! let mut host = TestHost::<Firewall>::configure(json!({ "deny": ["/admin"] }))?;
//! assert_eq!(host.request(TestRequest::get("/admin/x")).reply_status(), Some(403));
//! assert!(host.request(TestRequest::get("/")).is_continue());
//! assert_eq!(host.counter("denied_total"), 1);
//!
//! let error = TestHost::<Firewall>::configure(json!({ "deny": ["/a", 5] })).unwrap_err();
//! assert_eq!(error.to_string(), "settings.deny[1]: invalid type: integer `5`, expected a string");
//! # Ok::<(), Error>(())
//! ```
//!
//! What a plugin asks for is what it calls: a plugin that never touches a metric does not import `metrics`, and loads
//! without that grant.
//!
//! There is no file system and no environment here, no thread, and no network but for requests to upstreams that the operator
//! grants ([`Fetch`], awaited in an [`AsyncRequestFilter`]): the rest is not in the contract. On
//! `wasm32-unknown-unknown`, `println!` and the clocks of `std` do nothing or panic, and the seeds of a `HashMap` are
//! fixed: use [`log`], [`clock`] and, for maps whose keys clients choose, a `BTreeMap`.

#![deny(unsafe_code)]

mod allocator;
mod arrival;
mod balancer;
#[doc(hidden)]
pub mod bindings;
mod body;
pub mod clock;
mod connection;
mod error;
mod exchange;
#[doc(hidden)]
pub mod export;
mod fetch;
mod header;
mod host;
pub mod log;
#[doc(hidden)]
pub mod manifest;
mod metrics;
mod name;
mod observer;
mod phase;
mod phase_async;
mod phase_body;
mod phase_stream;
mod plugin;
pub mod prelude;
pub mod random;
mod register;
mod reply;
mod request;
mod request_body;
mod response;
mod response_body;
mod settings;
mod setup;
mod shared;
mod stream;
#[cfg(not(target_family = "wasm"))]
mod test_host;
mod tls;

pub use balancer::{Candidate, Health, Outcome, Pick, PickRequest};
#[doc(inline)]
pub use bindings::capabilities::palisade::plugin::types::{Method, Protocol, Scheme};
pub use body::{BodyWish, Edits, OverLimit, Piece, PieceFlow};
pub use connection::Connection;
pub use error::Error;
pub use exchange::Exchange;
pub use fetch::{Fetch, FetchError, Fetched, Fetching};
pub use header::{HeadError, HeaderValue};
pub use metrics::{Counter, Family, Gauge, Histogram, Metric, Unit};
pub use name::Name;
pub use observer::{Begun, Ended, Ending};
pub use plugin::{
    Admission, AsyncRequestFilter, Balancer, ConnectionFilter, Flow, Observer, Plugin, RequestBodyFilter,
    RequestFilter, ResponseBodyFilter, ResponseFilter, StreamFilter, Ticker,
};
pub use reply::Reply;
pub use request::{HotValue, Request};
pub use request_body::{RequestBody, RequestHead};
pub use response::Response;
pub use response_body::{ResponseBody, ResponseHead};
pub use settings::NoSettings;
pub use setup::{HotHeader, Setup};
pub use shared::{Exchanged, Shared, SharedCounter, SharedError};
pub use stream::{ChooseError, Direction, Interest, Stream, StreamFlow, StreamPiece, StreamWish};
#[cfg(not(target_family = "wasm"))]
pub use test_host::{
    TestBody, TestBodyOutcome, TestCandidate, TestConnection, TestFetch, TestHost, TestOutcome, TestPick, TestRequest,
    TestResponse, TestStream, TestStreamOutcome, TestTls,
};
pub use tls::{ClientCertificate, Tls};
