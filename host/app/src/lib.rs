//! The host as a whole: a configuration becomes plugins, sockets and an admin listener, and runs.
//!
//! This crate joins the others and decides nothing about requests or guests.

#![deny(unsafe_code)]

mod acme;
mod admin;
mod admin_client;
mod beginning;
mod certificate;
mod chains;
pub mod cli;
mod endpoints;
mod environment;
mod expiry;
mod explain;
mod figures;
mod generation;
mod hand_over;
mod host;
mod last_good;
mod loader;
mod logging;
mod memory;
mod open_files;
mod plugin_command;
mod plugins;
mod reload;
mod run;
mod state;
mod top;
mod turns;
mod watch;

pub use host::{Host, HostError};
pub use reload::Outcome;
