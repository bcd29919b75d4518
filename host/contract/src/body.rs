//! What a body and a filter of bodies say to each other: how the filter wants the body, and what becomes of each piece.
//!
//! The order of filters, and what a failed one means, is the matter of [`crate::Passage`].

use std::fmt::Debug;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::{Exchange, Failure, Phase, Reply};

/// Whose head or body it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client's.
    Request,
    /// The endpoint's, a plugin's or the host's.
    Response,
}

impl Side {
    /// The phase of a filter that is called for it.
    #[must_use]
    pub fn phase(self) -> Phase {
        match self {
            Self::Request => Phase::RequestBody,
            Self::Response => Phase::ResponseBody,
        }
    }

    /// The phase of a filter that is called for the head that goes before it.
    #[must_use]
    pub fn head_phase(self) -> Phase {
        match self {
            Self::Request => Phase::Request,
            Self::Response => Phase::Response,
        }
    }
}

/// What a filter says of a body before any of it came.
#[derive(Debug)]
pub enum Wish {
    /// It passes untouched, and the filter is not asked about it any more.
    Skip,
    /// The filter takes it so, through this.
    Take(Handling, Box<dyn BodyFilter>),
    /// Answer with this.
    Reply(Box<Reply>),
    /// Close the connection, or reset the stream, without an answer.
    Close,
}

/// How a filter takes a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    /// Piece by piece as it comes. The head does not wait for it.
    Stream(Edits),
    /// Whole. The head waits until all of it is there, and can be changed until then.
    Buffer {
        /// How long it may be, in bytes.
        bytes_max: usize,
        /// What becomes of a longer one.
        over: Over,
    },
}

/// What a filter may put in place of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edits {
    /// Nothing: it reads.
    None,
    /// As many bytes as the piece has, so that the length of the body stays what it is.
    SameLength,
    /// Anything.
    Any,
}

/// What becomes of a body that is longer than a filter buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// It passes untouched, and the filter is not asked about it any more.
    Skip,
    /// It is refused: 413 for a request, 502 for a response.
    Refuse,
}

/// The longest piece of a streamed body that a filter is given.
pub const PIECE_BYTES_MAX: usize = 64 << 10;

/// A part of a body: at most [`PIECE_BYTES_MAX`] of a streamed one, or all of a buffered one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its bytes, which the filter replaces by others within `edits`. May be none, most of all in the last piece.
    pub bytes: Bytes,
    /// Whether nothing comes after it.
    pub is_last: bool,
    /// What may be put in its place.
    pub edits: Edits,
    /// Whether the body's head waits for this piece, and so can be changed.
    pub holds_head: bool,
}

/// What a filter says of a piece.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It goes on as it is now.
    Proceed,
    /// It goes on as it is now, and so does the rest of the body: the filter is not asked about it any more.
    PassRest,
    /// Answer with this.
    Reply(Box<Reply>),
    /// Close the connection, or reset the stream.
    Close,
}

/// One body on its way through one filter. Dropping it is the end of that, whether or not the last piece came.
pub trait BodyFilter: Debug {
    /// Looks at a piece, and changes it or not. While it is pending it is asked again with the same piece, when the
    /// context was woken.
    ///
    /// # Errors
    /// The plugin failed: the chain follows [`crate::Filter::on_error`]. It is not asked any more.
    fn poll_piece(
        &mut self,
        exchange: &mut Box<Exchange>,
        piece: &mut Piece,
        context: &mut Context<'_>,
    ) -> Poll<Result<Verdict, Failure>>;

    /// This many more bytes are about to be buffered for it, until it is dropped.
    ///
    /// # Errors
    /// Its bodies would take up more memory than they may, which counts as the plugin's failure.
    fn reserve(&mut self, _bytes: usize) -> Result<(), Failure> {
        Ok(())
    }
}
