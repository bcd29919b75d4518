//! A body on its way through filters: pieces of the body that came in, frames of the body that goes on out.

use std::future::poll_fn;
use std::pin::Pin;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use palisade_contract::{Exchange, Hold, Passage, Step, Stopped};
use tokio::sync::mpsc;

use crate::body::{BoxError, Pipe};

/// A body that can be sent to a chain's thread.
pub(crate) type Boxed = UnsyncBoxBody<Bytes, BoxError>;

/// Frames that wait to be taken: one, so that nobody's body piles up here.
const FRAMES_MAX: usize = 1;

/// A body on its way through filters.
pub(crate) struct Pump {
    passage: Passage,
    body: Boxed,
    trailers: Option<HeaderMap>,
    bytes: u64,
}

/// Why a body does not go on.
pub(crate) enum Halt {
    /// A filter said so.
    Stopped(Stopped),
    /// It broke off.
    Broken,
}

impl From<Stopped> for Halt {
    fn from(stopped: Stopped) -> Self {
        Self::Stopped(stopped)
    }
}

impl Pump {
    pub(crate) fn new(passage: Passage, body: Boxed) -> Self {
        Self { passage, body, trailers: None, bytes: 0 }
    }

    /// Waits until the body's head may go on; how long the body will be, if that is known then.
    pub(crate) async fn hold(
        &mut self,
        exchange: &mut Box<Exchange>,
        announced: Option<u64>,
    ) -> Result<Option<u64>, Halt> {
        while let Hold::Feed = poll_fn(|context| self.passage.poll_hold(exchange, context)).await? {
            self.feed().await?;
        }
        Ok(self.passage.length(announced))
    }

    /// A pipe, and where the pump is to push into it.
    pub(crate) fn pipe(length: Option<u64>) -> (Pipe, mpsc::Sender<Result<Frame<Bytes>, BoxError>>) {
        let (sender, frames) = mpsc::channel(FRAMES_MAX);
        (Pipe { frames, length }, sender)
    }

    /// Moves the body until its end, or until nobody takes it any more. Whoever takes it sees an error where it halts.
    ///
    /// How many bytes came in, and why it halted.
    pub(crate) async fn run(
        mut self,
        exchange: &mut Box<Exchange>,
        out: mpsc::Sender<Result<Frame<Bytes>, BoxError>>,
    ) -> (u64, Option<Halt>) {
        let moved = tokio::select! {
            moved = self.moves(exchange, &out) => moved,
            () = out.closed() => Ok(()),
        };
        if let Err(halt) = &moved {
            let why = match halt {
                Halt::Stopped(_) => "stopped by a plugin",
                Halt::Broken => "broken off",
            };
            let _ = out.send(Err(why.into())).await;
        }
        (self.bytes, moved.err())
    }

    async fn moves(
        &mut self,
        exchange: &mut Box<Exchange>,
        out: &mpsc::Sender<Result<Frame<Bytes>, BoxError>>,
    ) -> Result<(), Halt> {
        loop {
            match poll_fn(|context| self.passage.poll_next(exchange, context)).await? {
                Step::Out(bytes) => {
                    if out.send(Ok(Frame::data(bytes))).await.is_err() {
                        return Ok(());
                    }
                }
                Step::Feed => self.feed().await?,
                Step::End => break,
            }
        }
        if let Some(trailers) = self.trailers.take() {
            let _ = out.send(Ok(Frame::trailers(trailers))).await;
        }
        Ok(())
    }

    /// Feeds the next piece; the trailers, which come last, are kept.
    async fn feed(&mut self) -> Result<(), Halt> {
        loop {
            let Some(frame) = poll_fn(|context| Pin::new(&mut self.body).poll_frame(context)).await else {
                self.passage.feed(Bytes::new(), true);
                return Ok(());
            };
            match frame.map_err(|_| Halt::Broken)?.into_data() {
                Ok(bytes) => {
                    self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
                    let is_last = self.body.is_end_stream();
                    if !bytes.is_empty() || is_last {
                        self.passage.feed(bytes, is_last);
                        return Ok(());
                    }
                }
                Err(frame) => self.trailers = frame.into_trailers().ok(),
            }
        }
    }
}

/// Any body, so that it can be sent to a chain's thread.
pub(crate) fn boxed<B>(body: B) -> Boxed
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    body.map_err(Into::into).boxed_unsync()
}
