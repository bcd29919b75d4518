//! A client's byte stream, plain or TLS, and what stands between it and whoever reads.

mod framed;
mod gathered;
mod socket;
mod watched;

use std::rc::Rc;
use std::task::{Context, Poll};

use palisade_contract::Refusal;
use tokio_rustls::server::TlsStream;

pub(crate) use self::framed::Framed;
pub(crate) use self::socket::Socket;
pub(crate) use self::watched::Watched;
use crate::activity::Activity;

/// How much is read at a time of what is held.
const HELD_PIECE_BYTES: usize = 4 << 10;

/// A stream over TCP that can be ended in a way that the other side notices.
pub(crate) trait Abort {
    /// From now on, dropping it resets the connection instead of ending it in good order.
    fn abort(&self);
}

/// A stream over TCP that can be waited for without a buffer.
pub(crate) trait Await {
    /// Ready when there may be something to read, be it the end, or something to do. Pending only where whatever comes next wakes
    /// the task.
    fn poll_news(&mut self, context: &mut Context<'_>) -> Poll<()>;
}

/// Ends a stream in a way that its client notices, where serving it is cut in the middle of an answer that ends with it: when
/// this is dropped.
pub(crate) struct Cut<S: Abort> {
    stream: S,
    activity: Rc<Activity>,
    is_over: bool,
}

impl<S: Abort> Cut<S> {
    /// A stream that is to be served.
    pub(crate) fn new(stream: S, activity: Rc<Activity>) -> Self {
        Self { stream, activity, is_over: false }
    }

    /// It was served to its end, which is this.
    pub(crate) fn ends(mut self, ended: Result<(), Refusal>) {
        // What breaks the rules is answered, and that is the end of it.
        self.is_over = matches!(ended, Ok(()) | Err(Refusal::Protocol));
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

impl Abort for TlsStream<Socket> {
    fn abort(&self) {
        self.get_ref().0.abort();
    }
}

impl Await for TlsStream<Socket> {
    fn poll_news(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let (socket, tls) = self.get_mut();
        match tls.process_new_packets() {
            // Nobody is woken for what is decrypted already.
            Ok(state) if state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed() && !tls.wants_write() => {
                socket.poll_news(context)
            }
            Ok(_) | Err(_) => Poll::Ready(()),
        }
    }
}
