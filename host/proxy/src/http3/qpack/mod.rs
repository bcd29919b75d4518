//! Field sections as QPACK codes them (RFC 9204), without a dynamic table: we allow none, and use none.

mod decode;
mod encode;
mod huffman;
pub(crate) mod integer;
mod static_table;

pub(crate) use decode::{Fields, Name, Value, string};
pub(crate) use encode::{fields, response};

/// What is coded is not QPACK nor HPACK, or refers to a table that there is none of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;
