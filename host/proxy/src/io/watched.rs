//! A stream of HTTP/1 that notes when bytes come, and hands on what its guard lets pass.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Abort, HELD_PIECE_BYTES};
use crate::activity::Activity;
use crate::guard::{Ambiguity, Checked, Http1Guard, POISON};

/// What a client may send before its upgrade is answered. More is not read until then.
const HELD_BYTES_MAX: usize = 64 << 10;

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
