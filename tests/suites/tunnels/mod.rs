//! Upgrades and the tunnels that follow them.

mod endpoint;
mod life;
mod rules;
