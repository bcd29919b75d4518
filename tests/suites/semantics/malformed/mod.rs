//! Messages that are malformed, or that two parsers could read in two ways: each is refused, and nothing of it becomes a
//! request of its own.

mod http1;
mod http2;
