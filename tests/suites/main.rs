//! Every test of the whole host, one module for each subject.

#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and its limits are on real time"
)]

mod acme;
mod attacks;
mod bodies;
mod bounds;
mod certificates;
mod choice;
mod clients;
mod commands;
mod config;
mod drain;
mod endpoint;
mod executors;
mod explain;
mod fetch;
mod grpc;
mod guests;
mod hand_over;
mod health;
mod http3;
mod idle;
mod images;
mod isolation;
mod plugins;
mod promises;
mod proxy_protocol;
mod reload;
mod resilience;
mod semantics;
mod shadow;
mod shared;
mod signatures;
mod slow;
mod streams;
mod system_limits;
mod ticker;
mod tls;
mod tunnels;
mod upstreams;
