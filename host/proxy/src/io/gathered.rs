//! Small writes that go out together.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

/// What is gathered before it goes out by itself.
const GATHERED_BYTES_MAX: usize = 32 << 10;

/// The pieces that may follow what is gathered in one write.
const PIECES_MAX: usize = 7;

/// What was written and is not with the stream yet. Over TLS each write is a record of its own and a system call, and HTTP/2 makes one
/// of each frame of data.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Without memory where there is nothing.
    bytes: Vec<u8>,
    /// So many of them are with the stream.
    sent: usize,
    /// Whether the stream may keep something of what it has: TLS takes in more than its socket does, and sends that when it is flushed.
    is_kept: bool,
    /// Why they could not be sent: whoever writes next is told.
    failed: Option<io::Error>,
}

impl Gathered {
    /// Takes small pieces, and hands large ones on behind what is here already.
    ///
    /// # Errors
    /// The stream's, which may be of what was written before.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.has_failed()?;
        let length = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        loop {
            if self.bytes.len() + length <= GATHERED_BYTES_MAX {
                if self.bytes.capacity() == 0 {
                    self.bytes.reserve_exact(GATHERED_BYTES_MAX);
                }
                pieces.iter().for_each(|piece| self.bytes.extend_from_slice(piece));
                return Poll::Ready(Ok(length));
            }
            // Whatever it comes to.
            self.is_kept = true;
            if self.bytes.is_empty() {
                return Pin::new(stream).poll_write_vectored(context, pieces);
            }
            let before = self.rest().len();
            let written = ready!(self.poll_write_behind(stream, context, pieces))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.has_sent(written.min(before));
            if written > before {
                return Poll::Ready(Ok(written - before));
            }
        }
    }

    /// Writes what is here, and of the pieces as many as go with it.
    fn poll_write_behind<S: AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut all = [IoSlice::new(&[]); PIECES_MAX + 1];
        let following = pieces.iter().take(PIECES_MAX).map(|piece| IoSlice::new(piece));
        for (place, piece) in all.iter_mut().zip(std::iter::once(IoSlice::new(self.rest())).chain(following)) {
            *place = piece;
        }
        Pin::new(stream).poll_write_vectored(context, &all)
    }

    /// Hands everything to the stream, and has it sent. Ready where nothing is left.
    ///
    /// # Errors
    /// The stream's.
    pub(super) fn poll_send<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.bytes.is_empty() {
            self.is_kept = true;
            let written = ready!(Pin::new(&mut *stream).poll_write(context, self.rest()))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.has_sent(written);
        }
        if self.is_kept {
            ready!(Pin::new(stream).poll_flush(context))?;
            self.is_kept = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Keeps an error for whoever writes or flushes next. What was gathered is of no use any more, and there is nothing left to send.
    pub(super) fn fail(&mut self, error: io::Error) {
        *self = Self { failed: Some(error), ..Self::default() };
    }

    /// # Errors
    /// What was kept.
    pub(super) fn has_failed(&mut self) -> io::Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }

    fn has_sent(&mut self, bytes: usize) {
        self.sent += bytes;
        if self.sent >= self.bytes.len() {
            // A connection that rests keeps none.
            (self.bytes, self.sent) = (Vec::new(), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Takes what it has room for, and notes each write.
    #[derive(Debug, Default)]
    struct Taking {
        room: usize,
        writes: Vec<Vec<u8>>,
        /// Whether it keeps what it has taken when it is flushed.
        keeps: bool,
        flushes: usize,
    }

    impl AsyncWrite for Taking {
        fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(context, &[IoSlice::new(bytes)])
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            pieces: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let this = self.get_mut();
            let all = pieces.iter().flat_map(|piece| piece.iter().copied());
            let taken = all.take(this.room).collect::<Vec<_>>();
            if taken.is_empty() {
                return Poll::Pending;
            }
            this.room -= taken.len();
            let length = taken.len();
            this.writes.push(taken);
            Poll::Ready(Ok(length))
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            let this = self.get_mut();
            this.flushes += 1;
            if this.keeps { Poll::Pending } else { Poll::Ready(Ok(())) }
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn with_room(room: usize) -> (Gathered, Taking) {
        (Gathered::default(), Taking { room, ..Taking::default() })
    }

    fn write(gathered: &mut Gathered, stream: &mut Taking, pieces: &[&[u8]]) -> Poll<io::Result<usize>> {
        let pieces = pieces.iter().map(|piece| IoSlice::new(piece)).collect::<Vec<_>>();
        gathered.poll_write(stream, &mut Context::from_waker(Waker::noop()), &pieces)
    }

    fn send(gathered: &mut Gathered, stream: &mut Taking) -> Poll<io::Result<()>> {
        gathered.poll_send(stream, &mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn small_writes_are_one_and_nothing_is_kept() {
        let (mut gathered, mut stream) = with_room(100);
        for pieces in [[b"he".as_slice(), b"ad"], [b" bo", b"dy"], [b" next", b""]] {
            let length = pieces.concat().len();
            assert!(matches!(write(&mut gathered, &mut stream, &pieces), Poll::Ready(Ok(taken)) if taken == length));
        }
        assert!(stream.writes.is_empty());
        assert!(matches!(send(&mut gathered, &mut stream), Poll::Ready(Ok(()))));
        assert_eq!(stream.writes, [b"head body next"]);
        assert_eq!(gathered.bytes.capacity(), 0);
    }

    #[test]
    fn a_large_one_goes_with_what_is_before_it() {
        let (mut gathered, mut stream) = with_room(usize::MAX);
        let large = vec![b'x'; GATHERED_BYTES_MAX];
        assert!(write(&mut gathered, &mut stream, &[b"head"]).is_ready());
        let written = write(&mut gathered, &mut stream, &[b"frame", &large]);
        assert!(matches!(written, Poll::Ready(Ok(taken)) if taken == large.len() + 5));
        assert_eq!(stream.writes, [[b"headframe".as_slice(), &large].concat()]);
    }

    #[test]
    fn what_a_stream_takes_in_pieces_arrives_whole_and_in_order() {
        for room in 1..40 {
            let (mut gathered, mut stream) = with_room(0);
            let mut sent = Vec::new();
            for index in 0..30_000_usize {
                let frame = index.to_be_bytes();
                let mut rest = frame.as_slice();
                while !rest.is_empty() {
                    match write(&mut gathered, &mut stream, &[rest]) {
                        Poll::Ready(taken) => rest = &rest[taken.unwrap()..],
                        Poll::Pending => stream.room += room,
                    }
                }
                sent.extend_from_slice(&frame);
                assert!(gathered.bytes.len() <= GATHERED_BYTES_MAX);
            }
            while send(&mut gathered, &mut stream).is_pending() {
                stream.room += room;
            }
            assert!(stream.writes.concat() == sent, "room for {room}");
        }
    }

    #[test]
    fn what_the_stream_keeps_is_flushed_until_it_is_sent_and_no_longer() {
        let (mut gathered, mut stream) = with_room(usize::MAX);
        let large = vec![b'x'; GATHERED_BYTES_MAX + 1];
        for piece in [b"small".as_slice(), &large] {
            (stream.keeps, stream.flushes) = (true, 0);
            assert!(write(&mut gathered, &mut stream, &[piece]).is_ready());
            assert!(send(&mut gathered, &mut stream).is_pending());
            assert!(send(&mut gathered, &mut stream).is_pending(), "it is asked again when it wakes");
            stream.keeps = false;
            assert!(matches!(send(&mut gathered, &mut stream), Poll::Ready(Ok(()))));
            assert!(matches!(send(&mut gathered, &mut stream), Poll::Ready(Ok(()))));
            assert_eq!(stream.flushes, 3);
        }
        assert_eq!(stream.writes.len(), 2);
    }

    #[test]
    fn whoever_writes_next_is_told_why_what_was_gathered_could_not_be_sent() {
        let (mut gathered, mut stream) = with_room(100);
        assert!(write(&mut gathered, &mut stream, &[b"lost"]).is_ready());
        gathered.fail(io::ErrorKind::ConnectionReset.into());
        assert!(matches!(send(&mut gathered, &mut stream), Poll::Ready(Ok(()))), "nothing is left to send");
        let told = write(&mut gathered, &mut stream, &[b"more"]);
        assert!(
            matches!(told, Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset),
            "it is not told"
        );
        assert!(matches!(send(&mut gathered, &mut stream), Poll::Ready(Ok(()))));
        assert!(stream.writes.is_empty());
    }
}
