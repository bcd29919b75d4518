//! Bodies on their way through: whole, bounded in memory, and let go when the client leaves.

mod filters;
mod framing;
mod large;
mod leaving;
mod model;
