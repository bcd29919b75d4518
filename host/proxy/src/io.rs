//! A client's byte stream, plain or TLS, that notes when bytes come and hands on what its guard lets pass.

use std::cell::RefCell;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::BytesMut;
use palisade_config::ListenerLimits;
use palisade_contract::Refusal;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;

use crate::activity::Activity;
use crate::guard::{Ambiguity, Checked, Fault, Http1Guard, Http2Guard, POISON, Passed};

/// What a client may send before its upgrade is answered. More is not read until then.
const HELD_BYTES_MAX: usize = 64 << 10;

/// How much is read at a time of what is held.
const HELD_PIECE_BYTES: usize = 4 << 10;

/// What is kept of the memory for what is held once that is looked at.
const KEPT_BYTES_MAX: usize = 32 << 10;

/// A stream over TCP that can be ended in a way that the other side notices.
pub(crate) trait Abort {
    /// From now on, dropping it resets the connection instead of ending it in good order.
    fn abort(&self);
}

/// Ends a stream in a way that its client notices, where serving it is cut in the middle of an answer that ends with it.
pub(crate) struct Cut<S: Abort> {
    stream: S,
    activity: Rc<Activity>,
    is_over: bool,
}

impl<S: Abort> Cut<S> {
    /// Serves a stream to its end. Dropping the future cuts it.
    pub(crate) async fn around(
        stream: S,
        activity: &Rc<Activity>,
        serving: impl Future<Output = Result<(), Refusal>>,
    ) -> Result<(), Refusal> {
        let mut cut = Self { stream, activity: activity.clone(), is_over: false };
        let ended = serving.await;
        // What breaks the rules is answered, and that is the end of it.
        cut.is_over = matches!(ended, Ok(()) | Err(Refusal::Protocol));
        ended
    }
}

impl<S: Abort> Drop for Cut<S> {
    fn drop(&mut self) {
        if !self.is_over && self.activity.is_ended_by_closing() {
            // RFC 9112, section 8.
            self.stream.abort();
        }
    }
}

impl Abort for TcpStream {
    fn abort(&self) {
        // Where it fails, the connection is gone already.
        let _ = socket2::SockRef::from(self).set_linger(Some(Duration::ZERO));
    }
}

impl Abort for TlsStream<TcpStream> {
    fn abort(&self) {
        self.get_ref().0.abort();
    }
}

/// A stream of HTTP/1 that tells its connection's [`Activity`] when bytes come, and whose bytes are looked at by a guard. Its
/// clones are the same stream: what is left of it can be had when whoever was given one has dropped it.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    stream: Rc<RefCell<S>>,
    gate: Rc<RefCell<Gate>>,
    activity: Rc<Activity>,
}

/// What is between the socket and whoever reads.
#[derive(Debug)]
struct Gate {
    guard: Http1Guard,
    /// What came while it was not known whether it is HTTP.
    held: Vec<u8>,
    /// Whoever waits for that to be known.
    waiting: Option<Waker>,
    /// What is read next in place of what was refused.
    poison: &'static [u8],
    refused: Option<Ambiguity>,
}

impl<S> Clone for Watched<S> {
    fn clone(&self) -> Self {
        Self { stream: self.stream.clone(), gate: self.gate.clone(), activity: self.activity.clone() }
    }
}

impl<S> Watched<S> {
    /// A stream on which heads may have so many bytes.
    pub(crate) fn new(stream: S, activity: Rc<Activity>, header_bytes: usize) -> Self {
        let guard = Http1Guard::new(header_bytes);
        let gate = Gate { guard, held: Vec::new(), waiting: None, poison: &[], refused: None };
        Self { stream: Rc::new(RefCell::new(stream)), gate: Rc::new(RefCell::new(gate)), activity }
    }

    /// A request to upgrade, if there was one, is answered: what follows is HTTP.
    pub(crate) fn goes_on(&self) {
        let mut gate = self.gate.borrow_mut();
        if gate.guard.holds() {
            gate.guard.goes_on();
            gate.wake();
        }
    }

    /// A request to upgrade is granted: what follows is not HTTP.
    pub(crate) fn ends(&self) {
        let mut gate = self.gate.borrow_mut();
        gate.guard.ends();
        gate.wake();
    }

    /// Whether a request to upgrade is not answered yet.
    pub(crate) fn is_undecided(&self) -> bool {
        self.gate.borrow().guard.holds()
    }

    /// What was held, and nobody has read.
    pub(crate) fn take_held(&self) -> Vec<u8> {
        std::mem::take(&mut self.gate.borrow_mut().held)
    }

    /// Why what the client sent is not read any further.
    pub(crate) fn refused(&self) -> Option<Ambiguity> {
        self.gate.borrow().refused
    }
}

impl Gate {
    fn wake(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
    }

    /// Hands out what is here already; none where there is nothing.
    fn hand_out(&mut self, into: &mut ReadBuf<'_>) -> bool {
        if !self.poison.is_empty() {
            let (now, later) = self.poison.split_at(self.poison.len().min(into.remaining()));
            into.put_slice(now);
            self.poison = later;
            return true;
        }
        if self.held.is_empty() || self.guard.holds() {
            return false;
        }
        let before = into.filled().len();
        let rest = self.held.split_off(self.held.len().min(into.remaining()));
        into.put_slice(&self.held);
        self.held = rest;
        self.look(into, before);
        true
    }

    /// Looks at what was read, and takes back what may not be handed out.
    fn look(&mut self, into: &mut ReadBuf<'_>, before: usize) {
        let Some(read) = into.filled().get(before..) else { return };
        match self.guard.check(read) {
            Checked::All => {}
            Checked::Hold(length) => {
                let rest = read.get(length..).unwrap_or_default();
                self.held.splice(..0, rest.iter().copied());
                into.set_filled(before + length);
            }
            Checked::Refuse(length, why) => {
                self.refused.get_or_insert(why);
                self.held = Vec::new();
                into.set_filled(before + length);
                let (now, later) = POISON.split_at(POISON.len().min(into.remaining()));
                into.put_slice(now);
                self.poison = later;
            }
        }
    }

    /// Reads what is held, so that a client that leaves is noticed. Ready only at the end.
    fn poll_hold<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        activity: &Activity,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut piece = [0; HELD_PIECE_BYTES];
        while self.held.len() < HELD_BYTES_MAX {
            let mut read = ReadBuf::new(&mut piece);
            let Poll::Ready(came) = Pin::new(&mut *stream).poll_read(context, &mut read) else { break };
            came?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            activity.bytes_came(read.filled().len());
            self.held.extend_from_slice(read.filled());
        }
        self.waiting = Some(context.waker().clone());
        Poll::Pending
    }
}

impl<S: Abort> Abort for Watched<S> {
    fn abort(&self) {
        self.stream.borrow().abort();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let (mut gate, mut stream) = (this.gate.borrow_mut(), this.stream.borrow_mut());
        if into.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if gate.hand_out(into) {
            this.activity.next_head(gate.guard.is_in_head());
            return Poll::Ready(Ok(()));
        }
        if gate.guard.holds() {
            return gate.poll_hold(&mut *stream, &this.activity, context);
        }
        let before = into.filled().len();
        ready!(Pin::new(&mut *stream).poll_read(context, into))?;
        if into.filled().len() > before {
            this.activity.bytes_came(into.filled().len() - before);
            gate.look(into, before);
            this.activity.next_head(gate.guard.is_in_head());
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.get_mut().stream.borrow_mut()).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.get_mut().stream.borrow_mut()).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().stream.borrow_mut()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().stream.borrow_mut()).poll_shutdown(context)
    }
}

/// A stream of HTTP/2 whose frames pass a guard: reading fails when it finds a fault. Its clones are the same stream.
#[derive(Debug)]
pub(crate) struct Framed<S> {
    stream: Rc<RefCell<S>>,
    sieve: Rc<RefCell<Sieve>>,
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
        Self { stream: self.stream.clone(), sieve: self.sieve.clone(), activity: self.activity.clone() }
    }
}

impl<S> Framed<S> {
    pub(crate) fn new(stream: S, activity: Rc<Activity>, limits: &ListenerLimits) -> Self {
        let sieve = Sieve { guard: Http2Guard::new(limits, Instant::now()), held: Vec::new(), passed: BytesMut::new() };
        Self { stream: Rc::new(RefCell::new(stream)), sieve: Rc::new(RefCell::new(sieve)), activity }
    }

    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            self.sieve.borrow_mut().guard.wrote(bytes);
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
        let this = self.get_mut();
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
                sieve.look(into, before)
            } else {
                let mut piece = [MaybeUninit::uninit(); HELD_PIECE_BYTES];
                let mut read = ReadBuf::uninit(&mut piece);
                ready!(Pin::new(&mut *stream).poll_read(context, &mut read))?;
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
        let written = Pin::new(&mut *self.stream.borrow_mut()).poll_write(context, bytes);
        self.wrote(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut *self.stream.borrow_mut()).poll_write_vectored(context, bytes);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_shutdown(context)
    }
}
