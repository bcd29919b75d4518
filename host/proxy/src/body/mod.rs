//! Bodies on their way through: streamed piece by piece, gathered only where a plugin buffers, with a limit on every wait.

mod client;
mod filtered;
mod pace;
mod patience;
mod request;
mod response;

use client::Broken;
pub(crate) use client::ClientBody;
pub(crate) use filtered::{BrokenOff, Filtered, Way};
pub(crate) use request::{RequestBody, Upload};
pub(crate) use response::{Origin, ResponseBody};

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
