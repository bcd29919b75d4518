//! A stream of HTTP/1 that notes when bytes come, and hands on what its guard lets pass.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Abort, Await, HELD_PIECE_BYTES};
use crate::activity::Activity;
use crate::guard::{Ambiguity, Checked, Http1Guard, POISON};

/// What a client may send before its upgrade is answered. More is not read until then.
const HELD_BYTES_MAX: usize = 64 << 10;

/// A stream of HTTP/1 that tells its connection's [`Activity`] when bytes come, and whose bytes are looked at by a guard. Its
/// clones are the same stream: what is left of it can be had when whoever was given one has dropped it.
#[derive(Debug)]
pub(crate) struct Watched<S>(Rc<Shared<S>>);

/// What the clones have in common.
#[derive(Debug)]
struct Shared<S> {
    stream: RefCell<S>,
    gate: RefCell<Gate>,
    sent: Cell<Sent>,
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
    /// What is read next and not looked at: poison in place of what was refused, or what was given back.
    next: Bytes,
    refused: Option<Ambiguity>,
}

/// How far what was written is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    All,
    /// Something may still be here.
    Part,
    /// Our side ends, or has ended.
    Ended,
}

impl<S> Clone for Watched<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> Watched<S> {
    /// A stream on which heads may have so many bytes.
    pub(crate) fn new(stream: S, activity: Rc<Activity>, header_bytes: usize) -> Self {
        let guard = Http1Guard::new(header_bytes);
        let gate = Gate { guard, held: Vec::new(), waiting: None, next: Bytes::new(), refused: None };
        let (stream, gate) = (RefCell::new(stream), RefCell::new(gate));
        Self(Rc::new(Shared { stream, gate, sent: Cell::new(Sent::All), activity }))
    }

    /// Whether whoever reads and writes can be replaced by another one: every message that came has ended, and everything that
    /// was written is sent.
    pub(crate) fn is_between_messages(&self) -> bool {
        let gate = self.0.gate.borrow();
        let all_is_read = gate.held.is_empty() && gate.next.is_empty() && gate.refused.is_none();
        all_is_read && gate.guard.is_between_messages() && self.0.sent.get() == Sent::All
    }

    /// Nobody reads for a while. What was read last, and to no end, is read next.
    pub(crate) fn rests(&self, read: Bytes) {
        let mut gate = self.0.gate.borrow_mut();
        gate.guard.rests();
        gate.held = Vec::new();
        // No bytes may be a slice of many.
        gate.next = if read.is_empty() { Bytes::new() } else { read };
    }

    /// A request to upgrade, if there was one, is answered: what follows is HTTP.
    pub(crate) fn goes_on(&self) {
        let mut gate = self.0.gate.borrow_mut();
        if gate.guard.holds() {
            gate.guard.goes_on();
            gate.wake();
        }
    }

    /// A request to upgrade is granted: what follows is not HTTP.
    pub(crate) fn ends(&self) {
        let mut gate = self.0.gate.borrow_mut();
        gate.guard.ends();
        gate.wake();
    }

    /// Whether a request to upgrade is not answered yet.
    pub(crate) fn is_undecided(&self) -> bool {
        self.0.gate.borrow().guard.holds()
    }

    /// What was held, and nobody has read.
    pub(crate) fn take_held(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.gate.borrow_mut().held)
    }

    /// Why what the client sent is not read any further.
    pub(crate) fn refused(&self) -> Option<Ambiguity> {
        self.0.gate.borrow().refused
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
        if !self.next.is_empty() {
            let length = self.next.len().min(into.remaining());
            into.put_slice(&self.next.split_to(length));
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
                self.next = Bytes::from_static(POISON);
                let length = self.next.len().min(into.remaining());
                into.put_slice(&self.next.split_to(length));
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
        self.0.stream.borrow().abort();
    }
}

impl<S: Await> Watched<S> {
    /// As [`Await::poll_news`].
    pub(crate) fn poll_news(&self, context: &mut Context<'_>) -> Poll<()> {
        if !self.0.gate.borrow().next.is_empty() {
            return Poll::Ready(());
        }
        self.0.stream.borrow_mut().poll_news(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Shared { stream, gate, activity, .. } = &*self.0;
        let (mut gate, mut stream) = (gate.borrow_mut(), stream.borrow_mut());
        if into.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if gate.hand_out(into) {
            activity.next_head(gate.guard.is_in_head());
            return Poll::Ready(Ok(()));
        }
        if gate.guard.holds() {
            return gate.poll_hold(&mut *stream, activity, context);
        }
        let before = into.filled().len();
        ready!(Pin::new(&mut *stream).poll_read(context, into))?;
        if into.filled().len() > before {
            activity.bytes_came(into.filled().len() - before);
            gate.look(into, before);
            activity.next_head(gate.guard.is_in_head());
        }
        Poll::Ready(Ok(()))
    }
}

impl<S> Shared<S> {
    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            self.activity.bytes_moved(bytes);
        }
        written
    }

    /// Notes how far what was written is, unless our side has ended.
    fn sent(&self, sent: Sent) {
        if self.sent.get() != Sent::Ended {
            self.sent.set(sent);
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.sent(Sent::Part);
        let written = Pin::new(&mut *self.0.stream.borrow_mut()).poll_write(context, bytes);
        self.0.wrote(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.sent(Sent::Part);
        let written = Pin::new(&mut *self.0.stream.borrow_mut()).poll_write_vectored(context, bytes);
        self.0.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.stream.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut *self.0.stream.borrow_mut()).poll_flush(context))?;
        self.0.sent(Sent::All);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.sent(Sent::Ended);
        Pin::new(&mut *self.0.stream.borrow_mut()).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    /// What the client has, and what is handed to hyper. The client takes so many bytes at a time.
    fn pair(bytes: usize) -> (DuplexStream, Watched<DuplexStream>) {
        let (client, host) = tokio::io::duplex(bytes);
        (client, Watched::new(host, Activity::new(), 8 << 10))
    }

    #[tokio::test]
    async fn whoever_reads_can_be_replaced_between_two_messages_only() {
        let (mut client, mut host) = pair(1 << 10);
        let mut read = Vec::with_capacity(1 << 10);
        for (bytes, is_between) in [
            ("\r", false),
            ("\n", false),
            ("G", false),
            ("ET / HTTP/1.1\r\n", false),
            ("host: a\r\n", false),
            ("\r\n", true),
            ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n", false),
            ("bod", false),
            ("y", true),
            ("GET / HTTP/1.1\r\nupgrade: x\r\n\r\n", false),
        ] {
            client.write_all(bytes.as_bytes()).await.unwrap();
            host.read_buf(&mut read).await.unwrap();
            assert_eq!(host.is_between_messages(), is_between, "{bytes:?}");
        }
        host.goes_on();
        assert!(host.is_between_messages());
    }

    #[tokio::test]
    async fn whoever_writes_can_be_replaced_when_all_is_sent_and_more_may_follow() {
        let (mut client, mut host) = pair(4);
        assert!(host.is_between_messages());
        let mut context = Context::from_waker(Waker::noop());
        let same = host.clone();
        {
            let mut writing = pin!(host.write_all(b"answer"));
            assert!(writing.as_mut().poll(&mut context).is_pending());
            assert!(!same.is_between_messages());
            client.read_exact(&mut [0; 4]).await.unwrap();
            writing.await.unwrap();
        }
        assert!(!same.is_between_messages(), "it may not be sent");
        host.flush().await.unwrap();
        assert!(same.is_between_messages());
        host.shutdown().await.unwrap();
        host.flush().await.unwrap();
        assert!(!same.is_between_messages());
    }

    #[tokio::test]
    async fn what_was_read_to_no_end_is_read_again_and_not_looked_at_twice() {
        let (mut client, mut host) = pair(1 << 10);
        // A guard would refuse it.
        host.rests(Bytes::from_static(b"\n\n"));
        assert!(!host.is_between_messages());
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let (mut again, mut more) = ([0; 2], [0; 18]);
        host.read_exact(&mut again).await.unwrap();
        host.read_exact(&mut more).await.unwrap();
        assert_eq!((&again, &more), (b"\n\n", b"GET / HTTP/1.1\r\n\r\n"));
        assert!(host.is_between_messages() && host.refused().is_none());
    }
}
