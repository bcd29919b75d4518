//! A body on its way through the filters of a chain: pieces in from a connection, pieces out to another one.
//!
//! While filters hold back the head of the body, [`Way::hold`] is awaited, with the exchange itself. From then on the body
//! moves by itself, with a copy of the exchange for filters to read: the heads have gone on.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http::header::{self, HeaderValue};
use http_body::{Frame, SizeHint};
use palisade_contract::{Exchange, Hold, Passage, Step, Stopped};

use super::Error;

/// Where the pieces of a body come from.
pub(crate) trait Source {
    /// The next piece, or the trailers.
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>>;

    /// Whether nothing more comes; may say so only after it was asked for more.
    fn is_ended(&self) -> bool;
}

/// Why a body does not go on.
#[derive(Debug)]
pub(crate) enum BrokenOff {
    /// It does not come.
    Source(Error),
    /// A plugin says so.
    Plugin(Stopped),
}

impl From<Stopped> for BrokenOff {
    fn from(stopped: Stopped) -> Self {
        Self::Plugin(stopped)
    }
}

/// A body's way through the filters that want it.
#[derive(Debug)]
pub(crate) struct Way {
    passage: Passage,
    announced: Option<u64>,
    /// They go on behind everything else, as they are.
    trailers: Option<HeaderMap>,
    is_fed: bool,
}

impl Way {
    pub(crate) fn new(passage: Passage, announced: Option<u64>) -> Self {
        Self { passage, announced, trailers: None, is_fed: false }
    }

    /// Takes in as much as the filters need to see before the head may go on.
    ///
    /// # Errors
    /// The body does not go on.
    pub(crate) async fn hold(
        &mut self,
        exchange: &mut Box<Exchange>,
        source: &mut impl Source,
    ) -> Result<(), BrokenOff> {
        poll_fn(|context| {
            loop {
                match ready!(self.passage.poll_hold(exchange, context))? {
                    Hold::Released => return Poll::Ready(Ok(())),
                    Hold::Feed => ready!(self.poll_feed(source, context))?,
                }
            }
        })
        .await
    }

    /// Makes the head say how long the body is: what it is known to be behind the filters, or nothing.
    pub(crate) fn announce(&self, headers: &mut HeaderMap) {
        match self.length() {
            Some(length) => drop(headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length))),
            None => drop(headers.remove(header::CONTENT_LENGTH)),
        }
    }

    fn length(&self) -> Option<u64> {
        self.passage.length(self.announced)
    }

    fn poll_frame(
        &mut self,
        exchange: &mut Box<Exchange>,
        source: &mut impl Source,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        loop {
            match ready!(self.passage.poll_next(exchange, context)) {
                Ok(Step::Out(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Ok(Step::Feed) => {
                    if let Err(error) = ready!(self.poll_feed(source, context)) {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                Ok(Step::End) => return Poll::Ready(self.trailers.take().map(Frame::trailers).map(Ok)),
                Err(stopped) => return Poll::Ready(Some(Err(stopped.into()))),
            }
        }
    }

    fn poll_feed(&mut self, source: &mut impl Source, context: &mut Context<'_>) -> Poll<Result<(), BrokenOff>> {
        let frame = if self.is_fed { None } else { ready!(source.poll_frame(context)) };
        let frame = frame.transpose().map_err(BrokenOff::Source)?;
        let bytes = match frame.map(Frame::into_data) {
            Some(Ok(bytes)) => {
                self.is_fed = source.is_ended();
                bytes
            }
            Some(Err(frame)) => {
                self.trailers = frame.into_trailers().ok();
                self.is_fed = true;
                Bytes::new()
            }
            None => {
                self.is_fed = true;
                Bytes::new()
            }
        };
        self.passage.feed(bytes, self.is_fed);
        Poll::Ready(Ok(()))
    }

    fn is_ended(&self) -> bool {
        self.passage.is_ended() && self.trailers.is_none()
    }
}

/// A body whose head has gone on.
#[derive(Debug)]
pub(crate) struct Filtered {
    way: Way,
    exchange: Box<Exchange>,
}

impl Filtered {
    /// With the exchange as filters see it from now on.
    pub(crate) fn new(way: Way, exchange: Box<Exchange>) -> Box<Self> {
        Box::new(Self { way, exchange })
    }

    pub(super) fn poll_frame(
        &mut self,
        source: &mut impl Source,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        self.way.poll_frame(&mut self.exchange, source, context)
    }

    pub(super) fn is_ended(&self) -> bool {
        self.way.is_ended()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.way.length().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
