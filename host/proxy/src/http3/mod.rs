//! HTTP/3 (RFC 9114) over a QUIC connection: its frames, its streams, its heads and bodies. What QUIC itself does, and
//! where connections come from, is next door in `quic`.
//!
//! The streams of a connection are tasks of its own: one for each request, one for each of the client's three other streams.
//! Whatever is wrong with one of them is a [`Fault`], which says what ends with it.

mod answer;
mod body;
mod connection;
mod control;
mod early;
mod fault;
mod frame;
mod head;
pub(crate) mod qpack;
mod reader;
mod request;
mod tunnel;

pub(crate) use body::Body;
pub(crate) use connection::run;
pub(crate) use early::Handshake;
pub(crate) use fault::Fault;
