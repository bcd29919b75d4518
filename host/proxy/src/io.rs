//! A client's byte stream, plain or TLS, that notes when bytes come.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::activity::Activity;

/// A stream that tells its connection's [`Activity`] when bytes come. Its clones are the same stream: what is left of it
/// can be had when whoever was given one has dropped it.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    stream: Rc<RefCell<S>>,
    activity: Rc<Activity>,
}

impl<S> Clone for Watched<S> {
    fn clone(&self) -> Self {
        Self { stream: self.stream.clone(), activity: self.activity.clone() }
    }
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, activity: Rc<Activity>) -> Self {
        Self { stream: Rc::new(RefCell::new(stream)), activity }
    }
}

/// A stream over TCP that can be ended in a way that the other side notices.
pub(crate) trait Abort {
    /// From now on, dropping it resets the connection instead of ending it in good order.
    fn abort(&self);
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

impl<S: Abort> Abort for Watched<S> {
    fn abort(&self) {
        self.stream.borrow().abort();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        let read = Pin::new(&mut *this.stream.borrow_mut()).poll_read(context, into);
        if read.is_ready() && into.filled().len() > before {
            this.activity.bytes_came(into.filled().len() - before);
        }
        read
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
