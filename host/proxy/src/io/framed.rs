//! A stream of HTTP/2 that hands on what its guard lets pass.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use palisade_config::ListenerLimits;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::HELD_PIECE_BYTES;
use super::gathered::Gathered;
use crate::activity::Activity;
use crate::guard::{Fault, Http2Guard, Passed};

/// What is kept of the memory for what is held once that is looked at.
const KEPT_BYTES_MAX: usize = 32 << 10;

/// A stream of HTTP/2 whose frames pass a guard: reading fails when it finds a fault. Small writes are gathered until they are sent:
/// whoever writes flushes after every frame, so flushing it does nothing. Its clones are the same stream.
#[derive(Debug)]
pub(crate) struct Framed<S>(Rc<Shared<S>>);

/// What the clones have in common.
#[derive(Debug)]
struct Shared<S> {
    stream: RefCell<S>,
    sieve: RefCell<Sieve>,
    gathered: RefCell<Gathered>,
    activity: Rc<Activity>,
}

/// What is between the socket and whoever reads.
#[derive(Debug)]
struct Sieve {
    guard: Http2Guard,
    /// What came and is to be looked at again, with what follows it: less than a frame's header, or a block that is not whole.
    held: Vec<u8>,
    /// What is read next.
    passed: BytesMut,
}

impl<S> Clone for Framed<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> Framed<S> {
    pub(crate) fn new(stream: S, activity: Rc<Activity>, limits: &ListenerLimits) -> Self {
        let sieve = Sieve { guard: Http2Guard::new(limits, Instant::now()), held: Vec::new(), passed: BytesMut::new() };
        let (stream, sieve) = (RefCell::new(stream), RefCell::new(sieve));
        Self(Rc::new(Shared { stream, sieve, gathered: RefCell::default(), activity }))
    }
}

impl<S: AsyncWrite + Unpin> Framed<S> {
    /// Has what is gathered sent. Where it cannot take all, or has failed, whoever writes is woken, and told.
    pub(crate) fn poll_send(&self, context: &mut Context<'_>) {
        if let Poll::Ready(Err(error)) = self.0.poll_send(context) {
            self.0.gathered.borrow_mut().fail(error);
            context.waker().wake_by_ref();
        }
    }

    /// Has what is gathered sent, and waits for that.
    ///
    /// # Errors
    /// It has failed, as may have what was written before.
    pub(crate) async fn send(&self) -> io::Result<()> {
        poll_fn(|context| self.0.poll_send_all(context)).await
    }
}

impl<S: AsyncWrite + Unpin> Shared<S> {
    /// As [`Self::poll_send`], for whoever is to be told.
    fn poll_send_all(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.gathered.borrow_mut().has_failed()?;
        self.poll_send(context)
    }

    fn poll_send(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.gathered.borrow_mut().poll_send(&mut *self.stream.borrow_mut(), context)
    }

    fn poll_write(&self, context: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = self.gathered.borrow_mut().poll_write(&mut *self.stream.borrow_mut(), context, pieces);
        if let Poll::Ready(Ok(bytes)) = written {
            self.sieve.borrow_mut().guard.wrote(bytes);
            self.activity.bytes_moved(bytes);
        }
        written
    }
}

impl Sieve {
    fn hand_out(&mut self, into: &mut ReadBuf<'_>) {
        let length = self.passed.len().min(into.remaining());
        into.put_slice(&self.passed.split_to(length));
        if length > 0 && self.passed.is_empty() {
            // What is left of a large block would stay as long as the connection.
            self.passed = BytesMut::new();
        }
    }

    /// Looks at what was read, most often in its place, and takes back what does not pass as it is.
    fn look(&mut self, into: &mut ReadBuf<'_>, before: usize) -> Result<(), Fault> {
        let Some(read) = into.filled().get(before..) else { return Ok(()) };
        let Passed { as_is, looked } = self.guard.check(read, &mut self.passed, Instant::now)?;
        self.held.extend_from_slice(read.get(looked..).unwrap_or_default());
        into.set_filled(before + as_is);
        Ok(())
    }

    /// Looks at what was read together with what is held. At the end of the stream, what is held is all there is.
    fn look_again(&mut self, read: &[u8]) -> Result<(), Fault> {
        let mut bytes = std::mem::take(&mut self.held);
        if read.is_empty() {
            self.passed.extend_from_slice(&bytes);
            return Ok(());
        }
        bytes.extend_from_slice(read);
        let mut instead = BytesMut::new();
        let Passed { as_is, looked } = self.guard.check(&bytes, &mut instead, Instant::now)?;
        self.passed.extend_from_slice(bytes.get(..as_is).unwrap_or_default());
        self.passed.unsplit(instead);
        bytes.drain(..looked);
        if bytes.len() < KEPT_BYTES_MAX {
            bytes.shrink_to(KEPT_BYTES_MAX);
        }
        self.held = bytes;
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Framed<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &*self.0;
        let (mut sieve, mut stream) = (this.sieve.borrow_mut(), this.stream.borrow_mut());
        let before = into.filled().len();
        loop {
            sieve.hand_out(into);
            if into.filled().len() > before || into.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let looked = if sieve.held.is_empty() {
                ready!(Pin::new(&mut *stream).poll_read(context, into))?;
                if this.activity.fault().is_some() || into.filled().len() == before {
                    // Nobody looks at it any more, or there is nothing.
                    return Poll::Ready(Ok(()));
                }
                this.activity.bytes_moved(into.filled().len() - before);
                sieve.look(into, before)
            } else {
                let mut piece = [MaybeUninit::uninit(); HELD_PIECE_BYTES];
                let mut read = ReadBuf::uninit(&mut piece);
                ready!(Pin::new(&mut *stream).poll_read(context, &mut read))?;
                this.activity.bytes_moved(read.filled().len());
                sieve.look_again(read.filled())
            };
            looked.map_err(|fault| {
                this.activity.has_fault(fault);
                io::Error::new(io::ErrorKind::InvalidData, fault)
            })?;
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Framed<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.stream.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.gathered.borrow_mut().has_failed())
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.0.poll_send_all(context))?;
        Pin::new(&mut *self.0.stream.borrow_mut()).poll_shutdown(context)
    }
}
