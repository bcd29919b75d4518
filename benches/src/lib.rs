//! What the benchmarks have in common: the things that they measure, the machine, and how figures are summed up.
//!
//! `calls` measures plugins inside its own process; `peers` measures whole proxies, each a process of its own.

#![forbid(unsafe_code)]

pub mod artifacts;
pub mod line;
pub mod machine;
pub mod spread;

pub use artifacts::Artifacts;
pub use line::Line;
pub use spread::Spread;
