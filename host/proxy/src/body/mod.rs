//! Bodies on their way through: streamed piece by piece, gathered only where a plugin buffers, with a limit on every wait.

mod client;
mod copied;
mod filtered;
mod kept;
mod pace;
mod patience;
mod request;
mod response;

use client::Broken;
pub(crate) use client::ClientBody;
pub(crate) use copied::Copy;
pub(crate) use filtered::{BrokenOff, Filtered, Way};
pub(crate) use request::{RequestBody, Upload};
pub(crate) use response::{BodyLimits, Origin, ResponseBody};

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
