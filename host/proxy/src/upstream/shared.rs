//! A connection over HTTP/2, which many exchanges have a stream of at a time.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::uri::Scheme;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use crate::body::{Error, RequestBody};
use crate::hygiene;
use crate::moment;
use crate::upstream::connect::HEAD_BYTES_MAX;
use crate::upstream::unanswered::Unanswered;
use crate::upstream::up::Up;

/// What of one answer may wait here for its client.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const SEND_BUFFER_BYTES_MAX: usize = 256 << 10;

/// Streams that we have reset and still know: what comes for one that is forgotten counts as the endpoint's error.
const RESETS_KEPT: usize = 1_000;

/// A connection over HTTP/2.
pub(crate) struct Shared {
    sender: http2::SendRequest<Upward>,
    begun: Begun,
    /// How many streams at a time the endpoint takes; none where the connection has ended.
    allowed: Box<dyn Fn() -> Option<usize>>,
    scheme: Scheme,
    up: Weak<Up>,
    /// Exchanges that have a stream.
    streams: Cell<usize>,
    /// When the last of them ended.
    unused_since: Cell<Instant>,
    distrusted: Cell<bool>,
}

impl Shared {
    /// Begins to speak HTTP/2. `streams` is how many the endpoint may be sent before it has said how many it takes, and at
    /// `streams_max` all of them together can keep their clients waiting without stopping each other.
    ///
    /// # Errors
    /// The endpoint is gone already.
    pub(crate) async fn begin<S>(
        stream: S,
        up: &Rc<Up>,
        scheme: Scheme,
        (streams, streams_max): (usize, usize),
    ) -> hyper::Result<Rc<Self>>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let window = u32::try_from(streams_max).unwrap_or(u32::MAX).saturating_mul(STREAM_WINDOW_BYTES);
        let begun = Begun::default();
        let (sender, connection) = http2::Builder::new(Tasks { up: up.clone(), begun: begun.clone() })
            .initial_max_send_streams(streams)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            // Answers that wait for slow clients must not keep the others from coming.
            .initial_connection_window_size(window.min(WINDOW_BYTES_MAX))
            .max_send_buf_size(SEND_BUFFER_BYTES_MAX)
            .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
            .max_concurrent_reset_streams(RESETS_KEPT)
            .handshake(TokioIo::new(stream))
            .await?;
        let connection = Rc::new(RefCell::new(connection));
        let known = Rc::downgrade(&connection);
        let until_the_end = up.clone();
        // Ends when the endpoint closes, and when nobody has a sender any more.
        tokio::task::spawn_local(async move {
            let _until_the_end = until_the_end;
            let ended = poll_fn(|context| Pin::new(&mut *connection.borrow_mut()).poll(context)).await;
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection to an endpoint ended");
            }
        });
        Ok(Rc::new(Self {
            sender,
            begun,
            allowed: Box::new(move || Some(known.upgrade()?.try_borrow().ok()?.current_max_send_streams())),
            scheme,
            up: Rc::downgrade(up),
            streams: Cell::new(0),
            unused_since: Cell::new(Instant::now()),
            distrusted: Cell::new(false),
        }))
    }

    /// Whether it can take exchanges, now or when others have ended.
    pub(crate) fn is_good(&self) -> bool {
        !self.distrusted.get() && !self.sender.is_closed()
    }

    /// Whether it is as old as one may become that is used again.
    pub(crate) fn is_old(&self) -> bool {
        self.up.upgrade().is_none_or(|up| up.is_old())
    }

    /// How many exchanges at a time the endpoint takes.
    pub(crate) fn allowed(&self) -> Option<usize> {
        (self.allowed)()
    }

    /// Exchanges that have a stream of it.
    pub(crate) fn streams(&self) -> usize {
        self.streams.get()
    }

    /// Since when no exchange has a stream of it, if none has.
    pub(crate) fn unused_since(&self) -> Option<Instant> {
        (self.streams.get() == 0).then(|| self.unused_since.get())
    }

    /// One more stream, as long as the connection is up.
    pub(crate) fn stream(self: &Rc<Self>) -> Option<(Stream, Rc<Up>)> {
        let up = self.up.upgrade()?;
        self.streams.set(self.streams.get() + 1);
        Some((Stream { shared: self.clone(), body: None }, up))
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Shared").field("streams", &self.streams).finish_non_exhaustive()
    }
}

/// RFC 9113, section 6.9.1.
const WINDOW_BYTES_MAX: u32 = (1 << 31) - 1;

/// The body that was asked for its beginning last. hyper asks for it once before it spawns what goes on with it, which is how
/// the two are known to belong together.
type Begun = Rc<Cell<Option<Rc<Lent>>>>;

/// Runs what HTTP/2 spawns on the worker's own thread. As long as any of it runs, the connection is up.
#[derive(Clone)]
struct Tasks {
    up: Rc<Up>,
    begun: Begun,
}

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, task: F) {
        let (until_the_end, lent) = (self.up.clone(), self.begun.take());
        tokio::task::spawn_local(UntilTakenBack { task, lent, _until_the_end: until_the_end });
    }
}

/// One exchange's stream. Dropping it ends the exchange: what is under way is cancelled (RFC 9113, section 8.1), and what was
/// sent already is none of its business.
#[derive(Debug)]
pub(crate) struct Stream {
    shared: Rc<Shared>,
    body: Option<Rc<Lent>>,
}

impl Stream {
    /// As [`Sender::send`](super::sender::Sender::send).
    pub(crate) async fn send(
        &mut self,
        request: &mut Option<Request<RequestBody>>,
    ) -> Result<Response<Incoming>, Unanswered> {
        let Some(mut sent) = request.take() else { return std::future::pending().await };
        hygiene::over_http2(&mut sent, &self.shared.scheme);
        let (parts, body) = sent.into_parts();
        let lent = Lent::new(body, self.shared.begun.clone());
        self.body = Some(lent.clone());
        let mut sender = self.shared.sender.clone();
        let answer = sender.try_send_request(Request::from_parts(parts, Upward(lent))).await;
        answer.map_err(|mut failed| {
            *request = failed.take_message().and_then(came_back);
            Unanswered::new(failed.into_error(), request.is_some())
        })
    }

    pub(crate) fn distrust(&self) {
        self.shared.distrusted.set(true);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(body) = &self.body {
            body.take_back();
        }
        self.shared.streams.set(self.shared.streams.get().saturating_sub(1));
        self.shared.unused_since.set(moment::now());
    }
}

fn came_back(request: Request<Upward>) -> Option<Request<RequestBody>> {
    let (parts, body) = request.into_parts();
    Some(Request::from_parts(parts, body.0.body.take()?))
}

/// A request's body that is lent to its connection.
struct Lent {
    body: RefCell<Option<RequestBody>>,
    is_over: Cell<bool>,
    /// Of the task that sends it.
    waker: Cell<Option<Waker>>,
    begun: Cell<Option<Begun>>,
}

impl Lent {
    fn new(body: RequestBody, begun: Begun) -> Rc<Self> {
        let (body, begun) = (RefCell::new(Some(body)), Cell::new(Some(begun)));
        Rc::new(Self { body, is_over: Cell::new(false), waker: Cell::new(None), begun })
    }

    /// Nothing more of it is sent, whatever it waits for. If that is not its end, the stream is reset.
    fn take_back(&self) {
        self.is_over.set(true);
        drop(self.body.try_borrow_mut().ok().and_then(|mut body| body.take()));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

pin_project! {
    /// Does what sends a body, if it is that, and nothing any more when it was taken back.
    struct UntilTakenBack<F> {
        #[pin]
        task: F,
        lent: Option<Rc<Lent>>,
        _until_the_end: Rc<Up>,
    }
}

impl<F: Future> Future for UntilTakenBack<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if let Some(lent) = this.lent {
            if lent.is_over.get() {
                return Poll::Ready(());
            }
            lent.waker.set(Some(context.waker().clone()));
        }
        this.task.poll(context).map(drop)
    }
}

impl std::fmt::Debug for Lent {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Lent").field("is_over", &self.is_over).finish_non_exhaustive()
    }
}

/// A request's body on its way into a stream.
#[derive(Debug)]
struct Upward(Rc<Lent>);

impl Drop for Upward {
    fn drop(&mut self) {
        // The connection has no more use for it.
        drop(self.0.body.take());
    }
}

impl Body for Upward {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(begun) = self.0.begun.take() {
            begun.set(Some(self.0.clone()));
        }
        let mut lent = self.0.body.borrow_mut();
        let Some(body) = lent.as_mut() else {
            return Poll::Ready(Some(Err(h2::Error::from(h2::Reason::CANCEL).into())));
        };
        let mut frame = Pin::new(body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
        {
            hygiene::trailers(trailers);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.0.body.borrow().as_ref().is_some_and(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.body.borrow().as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}
