//! A stream's bytes become its frames (RFC 9114, section 7.1).
//!
//! Nothing is gathered but what the one who reads asks for, with a limit; what is skipped is never kept.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use quinn::{ReadError, RecvStream, VarInt};

use super::fault::{Code, Fault};
use super::frame;

/// The most that is read at a time.
const PIECE_BYTES_MAX: usize = 64 << 10;

/// What the one who reads wants of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Take {
    /// All of it, when it is there.
    Whole,
    /// Piece by piece.
    Pieces,
    /// Nothing.
    Nothing,
}

/// What a stream brings.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A frame of this type, all of its payload.
    Frame(u64, Bytes),
    /// Some of a frame's payload, never empty.
    Data(Bytes),
}

/// A stream that is read frame by frame. Dropping it before its end asks the client to stop.
#[derive(Debug)]
pub(super) struct Reader {
    stream: RecvStream,
    /// What was read and is not looked at yet.
    piece: Bytes,
    place: Place,
    is_ended: bool,
}

/// Where in a frame it stands.
#[derive(Debug)]
enum Place {
    /// In the type and the length: at most 16 bytes.
    Head(Vec<u8>),
    Data(u64),
    Skipped(u64),
    Whole {
        kind: u64,
        payload: BytesMut,
        missing: usize,
    },
}

impl Reader {
    pub(super) fn new(stream: RecvStream) -> Self {
        Self { stream, piece: Bytes::new(), place: Place::Head(Vec::new()), is_ended: false }
    }

    /// With these bytes before everything else.
    pub(super) fn with(stream: RecvStream, read: Bytes) -> Self {
        Self { piece: read, ..Self::new(stream) }
    }

    /// Whether its end was seen.
    pub(super) fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Asks the client to send no more of it.
    pub(super) fn stop(&mut self, code: Code) {
        // It fails where there is nothing to stop any more.
        let _ = self.stream.stop(VarInt::from(code));
    }

    /// The next piece, or none at the end. `take` says of each frame's type and length what is wanted of it.
    ///
    /// # Errors
    /// What `take` says, or the stream ended within a frame (section 7.1), or the client has left.
    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        take: impl Fn(u64, u64) -> Result<Take, Fault>,
    ) -> Poll<Result<Option<Piece>, Fault>> {
        loop {
            if let Some(piece) = self.advance(&take)? {
                return Poll::Ready(Ok(Some(piece)));
            }
            if self.is_ended {
                return Poll::Ready(Ok(None));
            }
            match ready!(poll_read(&mut self.stream, context))? {
                Some(piece) => self.piece = piece,
                None => {
                    self.is_ended = true;
                    if !matches!(&self.place, Place::Head(head) if head.is_empty()) {
                        return Poll::Ready(Err(Fault::Connection(Code::FrameError, "a stream ended within a frame")));
                    }
                }
            }
        }
    }

    /// Goes through what was read, up to the next piece; none where more has to be read.
    fn advance(&mut self, take: &impl Fn(u64, u64) -> Result<Take, Fault>) -> Result<Option<Piece>, Fault> {
        loop {
            match &mut self.place {
                Place::Data(0) | Place::Skipped(0) => self.place = Place::Head(Vec::new()),
                Place::Whole { kind, payload, missing: 0 } => {
                    let piece = Piece::Frame(*kind, std::mem::take(payload).freeze());
                    self.place = Place::Head(Vec::new());
                    return Ok(Some(piece));
                }
                _ if self.piece.is_empty() => return Ok(None),
                Place::Head(head) => {
                    head.push(self.piece.get_u8());
                    let Some((kind, length)) = begun(head) else { continue };
                    self.place = match take(kind, length)? {
                        Take::Nothing => Place::Skipped(length),
                        Take::Pieces => Place::Data(length),
                        Take::Whole => {
                            let missing = usize::try_from(length).map_err(|_| Fault::TooLarge)?;
                            Place::Whole { kind, payload: BytesMut::with_capacity(missing), missing }
                        }
                    };
                }
                Place::Data(left) => {
                    let data = self.piece.split_to(at_most(*left, self.piece.len()));
                    *left -= length_of(&data);
                    return Ok(Some(Piece::Data(data)));
                }
                Place::Skipped(left) => {
                    let skipped = self.piece.split_to(at_most(*left, self.piece.len()));
                    *left -= length_of(&skipped);
                }
                Place::Whole { payload, missing, .. } => {
                    let some = self.piece.split_to(self.piece.len().min(*missing));
                    *missing -= some.len();
                    payload.extend_from_slice(&some);
                }
            }
        }
    }
}

/// The type and the length, once all of both is there.
fn begun(head: &[u8]) -> Option<(u64, u64)> {
    let (kind, bytes) = frame::integer(head)?;
    let (length, _) = frame::integer(head.get(bytes..)?)?;
    Some((kind, length))
}

fn at_most(left: u64, length: usize) -> usize {
    usize::try_from(left).map_or(length, |left| left.min(length))
}

fn length_of(piece: &Bytes) -> u64 {
    u64::try_from(piece.len()).unwrap_or(u64::MAX)
}

/// The next bytes of a stream, in order; none at its end.
pub(super) fn poll_read(stream: &mut RecvStream, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, ReadError>> {
    // The future keeps nothing between two polls, which its documentation calls cancel-safe.
    let read = pin!(stream.read_chunk(PIECE_BYTES_MAX, true)).poll(context);
    read.map(|chunk| chunk.map(|chunk| chunk.map(|chunk| chunk.bytes)))
}
