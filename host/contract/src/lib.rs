//! What the proxy and the engine may assume of each other: an [`Exchange`] goes through the [`Filter`]s of a [`Chain`].
//!
//! The proxy owns sockets and HTTP and knows no guest; the engine owns guests and knows no socket. Both import this
//! crate and never each other. It has no runtime, no I/O and no WebAssembly: a filter written natively against it is as
//! good as one that runs in a sandbox, which is how the chain's rules are tested (feature `testing`).

#![forbid(unsafe_code)]

pub mod balance;
pub mod body;
pub mod chain;
pub mod clock;
pub mod connection;
pub mod difference;
pub mod exchange;
pub mod fetch;
pub mod filter;
pub mod head;
pub mod latency;
pub mod metrics;
pub mod monitor;
pub mod names;
pub mod observe;
pub mod passage;
pub mod resilience;
pub mod shadow;
pub mod shared;
mod stage;
pub mod stream;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tls;
pub mod trace;
mod whole;

pub use balance::{Candidate, Health, Outcome, Pick, PickRequest};
pub use body::{BodyFilter, Edits, Handling, Over, Piece, Side, Verdict, Wish};
pub use chain::{Chain, Decision, Entry, Lease, PluginName};
pub use clock::{Clock, SystemClock};
pub use connection::{Connection, ConnectionId, Scheme};
pub use exchange::{Exchange, ExchangeId, Protocol, Reply, RequestHead, ResponseHead};
pub use fetch::{Callout, Fetch, FetchError, Fetching, WorkerServices};
pub use filter::{Admission, Failure, Filter, Flow, OnError, Phase, Phases, Plugin, Unavailable};
pub use head::{HeadError, HeadLimits};
pub use latency::PeakEwma;
pub use monitor::{Access, EndpointMonitor, ListenerMonitor, Monitor, Refusal, UpstreamFault};
pub use names::{LentName, Name, Names};
pub use observe::{Begun, Ended, Ending};
pub use passage::{Hold, Passage, Step, Stopped};
pub use resilience::{CircuitRefusal, CircuitState, Hedged, Mirrored, RetryReason, UpstreamMonitor};
pub use shadow::{Disagreement, Opinion, ShadowMonitor};
pub use shared::{Bounds, Namespace, NamespaceFigures, SharedError, SharedStore, Term};
pub use stream::{
    Alternatives, ChooseError, Direction, Interest, StreamFilter, StreamPassage, StreamPiece, StreamVerdict, StreamWish,
};
pub use tls::{ClientCertificate, Tls};
pub use trace::{BodyFigures, Trace, TraceStep};
