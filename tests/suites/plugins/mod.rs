//! The plugins that ship, through a real host.

mod balance;
mod firewall;
mod qps;
mod rate_limit;
mod together;
