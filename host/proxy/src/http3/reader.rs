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

/// The longest that a frame's type and length are together.
const HEAD_BYTES_MAX: usize = 16;

/// What a frame's payload takes up before any of it has come.
const EXPECTED_BYTES: usize = 1 << 10;

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
    frames: Frames,
}

impl Reader {
    pub(super) fn new(stream: RecvStream) -> Self {
        Self { stream, frames: Frames::default() }
    }

    /// With these bytes before everything else.
    pub(super) fn with(stream: RecvStream, read: Bytes) -> Self {
        Self { stream, frames: Frames { piece: read, ..Frames::default() } }
    }

    /// Whether its end was seen.
    pub(super) fn is_ended(&self) -> bool {
        self.frames.is_ended
    }

    /// Asks the client to send no more of it.
    pub(super) fn stop(&mut self, code: Code) {
        // It fails where there is nothing to stop any more.
        let _ = self.stream.stop(VarInt::from(code));
    }

    /// Ready when the client has reset the stream, or has left.
    pub(super) async fn gone(&mut self) {
        if matches!(self.stream.received_reset().await, Ok(None)) {
            // All of it came.
            std::future::pending().await
        }
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
            if let Some(piece) = self.frames.advance(&take)? {
                return Poll::Ready(Ok(Some(piece)));
            }
            if self.frames.is_ended {
                return Poll::Ready(Ok(None));
            }
            match ready!(poll_read(&mut self.stream, context))? {
                Some(piece) => self.frames.piece = piece,
                None => self.frames.end()?,
            }
        }
    }
}

/// The bytes of a stream on their way to become frames.
#[derive(Debug, Default)]
struct Frames {
    /// What was read and is not looked at yet.
    piece: Bytes,
    place: Place,
    is_ended: bool,
}

/// Where in a frame it stands.
#[derive(Debug)]
enum Place {
    /// In the type and the length: so many bytes of them.
    Head([u8; HEAD_BYTES_MAX], usize),
    Data(u64),
    Skipped(u64),
    Whole {
        kind: u64,
        payload: BytesMut,
        missing: usize,
    },
}

impl Default for Place {
    fn default() -> Self {
        Self::Head([0; HEAD_BYTES_MAX], 0)
    }
}

impl Frames {
    /// Nothing follows what was read.
    fn end(&mut self) -> Result<(), Fault> {
        self.is_ended = true;
        if matches!(self.place, Place::Head(_, 0)) {
            return Ok(());
        }
        Err(Fault::Connection(Code::FrameError, "a stream ended within a frame"))
    }

    /// Goes through what was read, up to the next piece; none where more has to be read.
    fn advance(&mut self, take: &impl Fn(u64, u64) -> Result<Take, Fault>) -> Result<Option<Piece>, Fault> {
        loop {
            match &mut self.place {
                Place::Data(0) | Place::Skipped(0) => self.place = Place::default(),
                Place::Whole { kind, payload, missing: 0 } => {
                    let piece = Piece::Frame(*kind, std::mem::take(payload).freeze());
                    self.place = Place::default();
                    return Ok(Some(piece));
                }
                _ if self.piece.is_empty() => return Ok(None),
                Place::Head(head, held) => {
                    if let Some(place) = head.get_mut(*held) {
                        *place = self.piece.get_u8();
                        *held += 1;
                    }
                    // Two integers of eight bytes each are the longest, so it is never full and not begun.
                    let Some((kind, length)) = head.get(..*held).and_then(begun) else { continue };
                    self.place = match take(kind, length)? {
                        Take::Nothing => Place::Skipped(length),
                        Take::Pieces => Place::Data(length),
                        Take::Whole => {
                            let missing = usize::try_from(length).map_err(|_| Fault::TooLarge)?;
                            Place::Whole {
                                kind,
                                payload: BytesMut::with_capacity(missing.min(EXPECTED_BYTES)),
                                missing,
                            }
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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const PAYLOAD_MAX: u64 = 1_000;

    fn take(kind: u64, length: u64) -> Result<Take, Fault> {
        match kind % 4 {
            0 => Ok(Take::Pieces),
            1 if length > PAYLOAD_MAX => Err(Fault::TooLarge),
            1 => Ok(Take::Whole),
            _ => Ok(Take::Nothing),
        }
    }

    /// What comes of bytes in these pieces: data of neighbouring pieces is one.
    fn read(pieces: &[&[u8]]) -> (Vec<Piece>, Result<(), Fault>) {
        let (mut frames, mut read) = (Frames::default(), Vec::new());
        let mut all = |frames: &mut Frames| -> Result<(), Fault> {
            while let Some(piece) = frames.advance(&take)? {
                match (piece, read.last_mut()) {
                    (Piece::Data(more), Some(Piece::Data(data))) => {
                        *data = [data.as_ref(), more.as_ref()].concat().into()
                    }
                    (piece, _) => read.push(piece),
                }
            }
            Ok(())
        };
        let mut go = || {
            for piece in pieces {
                frames.piece = Bytes::copy_from_slice(piece);
                all(&mut frames)?;
            }
            frames.end()
        };
        let end = go();
        (read, end)
    }

    #[test]
    fn frames_are_whole_in_pieces_or_skipped() {
        let bytes =
            [&[1, 2][..], b"ab", &[0, 3], b"cde", &[0, 0], &[2, 1], b"x", &[0x40, 0x21, 0x40, 0x01], b"f"].concat();
        let (found, end) = read(&[&bytes]);
        assert_eq!(
            found,
            [
                Piece::Frame(1, Bytes::from_static(b"ab")),
                Piece::Data(Bytes::from_static(b"cde")),
                Piece::Frame(0x21, Bytes::from_static(b"f"))
            ]
        );
        assert_eq!(end, Ok(()));
        assert_eq!(read(&[&[1, 0]]).0, [Piece::Frame(1, Bytes::new())]);
        assert_eq!(read(&[&[1, 0x47, 0xd0]]).1, Err(Fault::TooLarge));
        for cut in [&[1][..], &[0, 1], &[2, 1], &[1, 1], &[0x40]] {
            assert!(matches!(read(&[cut]).1, Err(Fault::Connection(Code::FrameError, _))), "{cut:?}");
        }
    }

    proptest! {
        #[test]
        fn bytes_are_the_same_frames_in_any_pieces(bytes in vec(any::<u8>(), 0..200), at in vec(0..200_usize, 0..8)) {
            let mut at: Vec<usize> = at.into_iter().map(|at| at.min(bytes.len())).collect();
            at.sort_unstable();
            let (mut pieces, mut rest, mut done) = (Vec::new(), &bytes[..], 0);
            for at in at {
                let (piece, more) = rest.split_at(at - done);
                pieces.push(piece);
                (rest, done) = (more, at);
            }
            pieces.push(rest);
            prop_assert_eq!(read(&pieces), read(&[&bytes]));
        }
    }
}
