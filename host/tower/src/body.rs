//! Bodies that pass a layer: as they were, through filters, or a plugin's own.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::{mpsc, oneshot};

use crate::pump::Boxed;

/// Any error of a body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What comes out of filters.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) frames: mpsc::Receiver<Result<Frame<Bytes>, BoxError>>,
    pub(crate) length: Option<u64>,
}

pin_project_lite::pin_project! {
    /// A body that passed a layer. Dropping it before its end is the end of the exchange.
    #[derive(Debug)]
    pub struct Body<B> {
        #[pin]
        source: Source<B>,
        count: Count,
    }
}

pin_project_lite::pin_project! {
    #[project = Projected]
    #[derive(Debug)]
    enum Source<B> {
        Untouched { #[pin] body: B },
        Lent { body: Boxed },
        Filtered { pipe: Pipe },
        Whole { bytes: Bytes },
    }
}

impl<B> Body<B> {
    /// As it was.
    pub(crate) fn untouched(body: B, count: Count) -> Self {
        Self { source: Source::Untouched { body }, count }
    }

    /// As it was, back from the chain's thread.
    pub(crate) fn boxed(body: Boxed, count: Count) -> Self {
        Self { source: Source::Lent { body }, count }
    }

    /// Through filters.
    pub(crate) fn filtered(pipe: Pipe, count: Count) -> Self {
        Self { source: Source::Filtered { pipe }, count }
    }

    /// All there.
    pub(crate) fn whole(bytes: Bytes, count: Count) -> Self {
        Self { source: Source::Whole { bytes }, count }
    }
}

impl<B> http_body::Body for Body<B>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        let frame = match this.source.project() {
            Projected::Untouched { body } => ready!(body.poll_frame(context)).map(|frame| frame.map_err(Into::into)),
            Projected::Lent { body } => ready!(Pin::new(body).poll_frame(context)),
            Projected::Filtered { pipe } => ready!(pipe.frames.poll_recv(context)),
            Projected::Whole { bytes } if bytes.is_empty() => None,
            Projected::Whole { bytes } => Some(Ok(Frame::data(std::mem::take(bytes)))),
        };
        this.count.saw(frame.as_ref());
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Untouched { body } => body.is_end_stream(),
            Source::Lent { body } => body.is_end_stream(),
            Source::Filtered { .. } => false,
            Source::Whole { bytes } => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Untouched { body } => body.size_hint(),
            Source::Lent { body } => body.size_hint(),
            Source::Filtered { pipe } => pipe
                .length
                .map_or_else(SizeHint::default, |left| SizeHint::with_exact(left.saturating_sub(self.count.bytes))),
            Source::Whole { bytes } => SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
        }
    }
}

/// What becomes of a body, told to whoever waits for its end.
#[derive(Debug)]
pub(crate) struct Count {
    bytes: u64,
    state: State,
    teller: Teller,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// There is more of it, or it was dropped then.
    Open,
    Whole,
    Broken,
}

#[derive(Debug)]
enum Teller {
    /// The number of bytes, as they pass.
    Running(Arc<AtomicU64>),
    /// Everything, once, at the end.
    AtEnd(Option<oneshot::Sender<(u64, State)>>),
}

impl Count {
    pub(crate) fn running(bytes: Arc<AtomicU64>) -> Self {
        Self { bytes: 0, state: State::Open, teller: Teller::Running(bytes) }
    }

    /// Tells when the body was taken whole, is broken, or is dropped.
    pub(crate) fn at_end(end: oneshot::Sender<(u64, State)>) -> Self {
        Self { bytes: 0, state: State::Open, teller: Teller::AtEnd(Some(end)) }
    }

    /// For a body that nobody waits for.
    pub(crate) fn untold() -> Self {
        Self { bytes: 0, state: State::Open, teller: Teller::AtEnd(None) }
    }

    fn saw(&mut self, frame: Option<&Result<Frame<Bytes>, BoxError>>) {
        match frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX));
                self.bytes = self.bytes.saturating_add(bytes);
                if let Teller::Running(sum) = &self.teller {
                    sum.store(self.bytes, Ordering::Relaxed);
                }
            }
            Some(Err(_)) => self.state = State::Broken,
            None => self.state = State::Whole,
        }
    }

    /// A server need not ask a body for more once it is known to be over.
    fn is_over(&mut self) {
        if self.state == State::Open {
            self.state = State::Whole;
        }
    }
}

impl<B> Body<B> {
    /// It is known to have no more to give.
    pub(crate) fn ended(mut self) -> Self {
        self.count.is_over();
        self
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        if let Teller::AtEnd(end) = &mut self.teller
            && let Some(end) = end.take()
        {
            let _ = end.send((self.bytes, self.state));
        }
    }
}
