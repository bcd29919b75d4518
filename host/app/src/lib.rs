//! The host as a whole: a configuration becomes plugins, sockets and an admin listener, and runs.
//!
//! This crate joins the others and decides nothing about requests or guests.

#![deny(unsafe_code)]

mod admin;
mod certificate;
mod chains;
pub mod cli;
mod figures;
mod host;
mod logging;
mod memory;
mod plugin_command;
mod plugins;

pub use host::{Host, HostError};
