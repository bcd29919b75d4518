//! A body that is there at once, or that comes piece by piece.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;

type Piece = Result<Frame<Bytes>, io::Error>;

/// The body of a request or of an answer.
#[derive(Debug)]
pub struct Body(Source);

#[derive(Debug)]
enum Source {
    Whole(Option<Bytes>),
    Fed { pieces: mpsc::Receiver<Piece>, rest: Option<u64> },
}

/// The other end of a body that comes piece by piece. Dropping it ends the body.
#[derive(Debug, Clone)]
pub struct Feed(mpsc::Sender<Piece>);

impl Body {
    /// No bytes at all.
    #[must_use]
    pub fn empty() -> Self {
        Self(Source::Whole(None))
    }

    /// A body that is fed. With a length it is announced, and the feeder has to keep to it; without one it is chunked.
    #[must_use]
    pub fn fed(length: Option<u64>) -> (Feed, Self) {
        let (feed, pieces) = mpsc::channel(1);
        (Feed(feed), Self(Source::Fed { pieces, rest: length }))
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self(Source::Whole(Some(bytes.into()).filter(|bytes| !bytes.is_empty())))
    }
}

impl Feed {
    /// Waits until the piece before was taken. False if nobody takes them any more.
    pub async fn send(&self, bytes: impl Into<Bytes>) -> bool {
        self.0.send(Ok(Frame::data(bytes.into()))).await.is_ok()
    }

    /// Ends the body with trailers.
    pub async fn trailers(self, trailers: HeaderMap) -> bool {
        self.0.send(Ok(Frame::trailers(trailers))).await.is_ok()
    }

    /// Breaks the body off: it never looks complete.
    pub async fn cut(self) {
        let _ = self.0.send(Err(io::Error::other("cut off by the test"))).await;
    }

    /// Waits until nobody takes pieces any more.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Piece>> {
        match &mut self.0 {
            Source::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Source::Fed { pieces, rest } => {
                let piece = ready!(pieces.poll_recv(context));
                if let (Some(rest), Some(Ok(frame))) = (rest, &piece) {
                    *rest = rest.saturating_sub(frame.data_ref().map_or(0, |data| data.len() as u64));
                }
                Poll::Ready(piece)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, Source::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Source::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Source::Fed { rest: Some(rest), .. } => SizeHint::with_exact(*rest),
            Source::Fed { rest: None, .. } => SizeHint::default(),
        }
    }
}
