//! Real MariaDB servers, alone and in a cluster: what checks find of them, and what their clients notice.

mod checks;
mod cluster;
mod failover;
mod server;
