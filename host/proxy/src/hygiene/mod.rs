//! What a message must be to pass, and what of it belongs to one hop only. One small file for each rule.

mod extended;
mod forwarded;
mod hop;
mod path;
mod present;
mod request;
mod response;
mod upgrade;
mod wire;

pub(crate) use extended::{Opening, Protocol, would_open};
pub(crate) use forwarded::{Said, Trust, client_of, forward};
pub(crate) use request::{Arrived, request};
pub(crate) use response::response;
pub(crate) use upgrade::{chosen as chosen_upgrade, set as set_upgrade};
pub(crate) use wire::{over_http1, over_http2, trailers};
