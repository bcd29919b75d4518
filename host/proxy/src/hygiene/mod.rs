//! What a message must be to pass, and what of it belongs to one hop only. One small file for each rule.

mod forwarded;
mod hop;
mod request;
mod response;

pub(crate) use forwarded::{Trust, client_of, forward};
pub(crate) use request::{for_upstream, request};
pub(crate) use response::response;
