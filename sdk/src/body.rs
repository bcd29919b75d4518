//! Bodies, as a [`RequestBodyFilter`](crate::RequestBodyFilter) and a [`ResponseBodyFilter`](crate::ResponseBodyFilter) take
//! them.

use std::mem;

use crate::{
    Error, Exchange, Reply,
    bindings::capabilities::palisade::plugin::{bodies as wire, body::WriteError},
    host,
};

pub use wire::{Edits, OverLimit};

/// How a filter wants a body, and what it keeps for it: `state` is there again with every piece, and is dropped when the body
/// has ended, however it ends.
#[derive(Clone, Debug, PartialEq)]
pub enum BodyWish<S> {
    /// Not at all: it passes untouched, and the filter is not asked about it any more.
    Skip,
    /// Piece by piece as it comes.
    Stream {
        /// What it may put in place of a piece. With [`Edits::Any`] the head announces no length.
        edits: Edits,
        /// What is kept for this body.
        state: S,
    },
    /// Whole, in one piece. The head waits for it, and can be changed until then.
    Buffer {
        /// The longest body that is buffered, in bytes. The operator's limit holds if it is lower (1 MiB by default).
        bytes_max: u64,
        /// What becomes of a longer one.
        over_limit: OverLimit,
        /// What is kept for this body.
        state: S,
    },
    /// Answer with this.
    Reply(Reply),
    /// Close the connection (HTTP/1) or reset the stream (HTTP/2 and later) without an answer.
    Close,
}

impl<S> From<Reply> for BodyWish<S> {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

/// What becomes of a piece.
#[derive(Clone, Debug, PartialEq)]
pub enum PieceFlow {
    /// It goes on as it is now.
    Continue,
    /// So does the rest of the body, and the filter is not asked about it any more.
    PassRest,
    /// Answer with this. Where the response has begun already, it is broken off instead.
    Reply(Reply),
    /// Close the connection (HTTP/1) or reset the stream (HTTP/2 and later).
    Close,
}

impl From<Reply> for PieceFlow {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

/// A part of a body: at most 64 KiB of one that is streamed, or all of one that is buffered. Where pieces begin and end means
/// nothing.
#[derive(Debug)]
pub struct Piece {
    exchange: u64,
    bytes: Vec<u8>,
    is_last: bool,
    is_changed: bool,
}

impl Piece {
    pub(crate) fn new(exchange: u64, bytes: Vec<u8>, is_last: bool) -> Self {
        Self { exchange, bytes, is_last, is_changed: false }
    }

    /// The number of the request and its response.
    pub fn exchange(&self) -> Exchange {
        Exchange::from_number(self.exchange)
    }

    /// The bytes; may be none, most of all in the last piece.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether nothing comes after it.
    pub fn is_last(&self) -> bool {
        self.is_last
    }

    /// The bytes, to be changed in place: what they are when the filter returns is what goes on. Only reading them costs less
    /// through [`Piece::bytes`].
    pub fn bytes_mut(&mut self) -> &mut Vec<u8> {
        self.is_changed = true;
        &mut self.bytes
    }

    /// Puts other bytes in its place, or none.
    pub fn replace(&mut self, bytes: impl Into<Vec<u8>>) {
        *self.bytes_mut() = bytes.into();
    }

    /// Takes the bytes out, so that nothing of the piece goes on unless it is put back.
    pub fn take(&mut self) -> Vec<u8> {
        mem::take(self.bytes_mut())
    }

    /// Hands what was changed to the host.
    pub(crate) fn write(self) -> Result<(), Error> {
        if !self.is_changed {
            return Ok(());
        }
        write(self.exchange, &self.bytes)
    }
}

/// Puts these bytes in the place of the piece at hand.
pub(crate) fn write(exchange: u64, bytes: &[u8]) -> Result<(), Error> {
    // No bytes at all drop the piece, and have to be said, too.
    let nothing: &[u8] = &[];
    let writes = bytes.chunks(WRITE_BYTES_MAX).chain(bytes.is_empty().then_some(nothing));
    for bytes in writes {
        host::body::write(exchange, bytes).map_err(|error| Error::new(reason(error)))?;
    }
    Ok(())
}

fn reason(error: WriteError) -> &'static str {
    match error {
        WriteError::ReadOnly => "the filter changed a piece of a body that it only reads",
        WriteError::TooLarge => "the filter put more in place of a piece than the operator's limit for a body",
    }
}

/// How much is written in one host call.
const WRITE_BYTES_MAX: usize = 1 << 20;
