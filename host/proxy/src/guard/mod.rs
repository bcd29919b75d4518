//! What a client sends is looked at before hyper reads it: where hyper is lenient, or forgets what it has seen, a message that
//! could be read in two ways would pass; and what costs a client nothing to send must not cost us more.

mod block;
mod fields;
mod http1;
mod http2;

pub(crate) use http1::{Ambiguity, Checked, Http1Guard, POISON};
pub(crate) use http2::{Fault, Http2Guard, Passed};
