//! Upgrades and the tunnels that follow them.

mod conformance;
mod endpoint;
mod life;
mod rules;
