//! What the host counts and logs: reports go in, Prometheus text and access log lines come out.
//!
//! One [`Registry`] belongs to one running host and is never global, so that several hosts fit in one process. It is
//! the [`Monitor`](palisade_contract::Monitor) that the proxy reports to and the
//! [`Metrics`](palisade_contract::metrics::Metrics) behind the plugins' own; both give out handles that are resolved
//! once, so that a report hashes and allocates nothing.
//!
//! It opens no socket: whoever serves `/metrics` calls [`Registry::render`].

#![forbid(unsafe_code)]

mod access;
mod buckets;
mod catalogue;
mod certificate;
mod endpoint;
mod endpoint_figures;
mod escaped;
mod figures;
mod listener;
mod names;
mod plugin;
mod registry;
mod reload;
mod shadow;
mod shared;
mod upstream;

pub use access::AccessLog;
pub use certificate::{CertificateFigures, Ordered};
pub use endpoint_figures::{EndpointFigures, endpoint_text};
pub use figures::{FailureFigures, PhaseFigures, PluginFigures};
pub use registry::Registry;
pub use reload::Reload;
