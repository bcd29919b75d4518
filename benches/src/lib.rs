//! What the benchmarks have in common: the things that they measure, the machine, and how figures are summed up.
//!
//! `calls` measures plugins inside its own process; `peers` and `slow` measure whole proxies, each a process of its own.

#![forbid(unsafe_code)]

pub mod artifacts;
pub mod cores;
pub mod line;
pub mod machine;
pub mod origin;
pub mod precedence;
pub mod spread;

pub use artifacts::Artifacts;
pub use cores::{Cores, Share};
pub use line::Line;
pub use precedence::Precedence;
pub use spread::Spread;
