//! Upgrades and the tunnels that follow them.

pub(crate) mod conformance;
pub(crate) mod endpoint;
mod life;
mod over_http2;
mod rules;
