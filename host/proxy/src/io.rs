//! A client's byte stream, plain or TLS, and what stands between it and whoever reads.

mod framed;
mod watched;

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use palisade_contract::Refusal;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

pub(crate) use self::framed::Framed;
pub(crate) use self::watched::Watched;
use crate::activity::Activity;

/// How much is read at a time of what is held.
const HELD_PIECE_BYTES: usize = 4 << 10;

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
