//! Bodies on their way through: streamed piece by piece, never gathered, with a limit on every wait.

mod patience;
mod request;
mod response;

pub(crate) use request::{Broken, RequestBody, Upload};
pub(crate) use response::ResponseBody;

type Error = Box<dyn std::error::Error + Send + Sync>;
