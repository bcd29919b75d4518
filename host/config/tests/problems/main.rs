//! Bad configs and what is said about them: every problem of a text at once, each at its place.

mod acme;
mod check;
mod host;
mod listeners;
mod plugins;
mod routes;
mod toml;
mod trusted_keys;
mod upstreams;
