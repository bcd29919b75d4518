//! Bodies on their way through: streamed piece by piece, never gathered, with a limit on every wait.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use palisade_contract::{Ending, UpstreamFault};
use tokio::time::{Instant, Sleep};

use crate::activity::BodyActivity;
use crate::record::Record;
use crate::upstream::Connection;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// A client's body on its way to an endpoint.
#[derive(Debug)]
pub(crate) struct RequestBody {
    /// None where there never was a byte.
    incoming: Option<Incoming>,
    activity: BodyActivity,
    upload: Rc<Upload>,
    bytes_max: u64,
}

/// How far a request's body is: kept apart, because the body itself goes away to the endpoint's connection.
#[derive(Debug)]
pub(crate) struct Upload {
    bytes: Cell<u64>,
    moved: Cell<Instant>,
    awaits_client: Cell<bool>,
    ended: Cell<bool>,
    too_large: Cell<bool>,
    broken: Cell<bool>,
}

impl Upload {
    /// Bytes that were read of it.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Whether it waits for the client to send more.
    pub(crate) fn awaits_client(&self) -> bool {
        self.awaits_client.get()
    }

    /// When it last moved.
    pub(crate) fn moved(&self) -> Instant {
        self.moved.get()
    }

    /// Whether all of it was read.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended.get()
    }

    /// Whether it was longer than the listener allows.
    pub(crate) fn is_too_large(&self) -> bool {
        self.too_large.get()
    }

    /// Whether the client's side of it failed.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.get()
    }
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming, activity: BodyActivity, bytes_max: Option<u64>) -> (Self, Rc<Upload>) {
        let upload = Rc::new(Upload {
            bytes: Cell::new(0),
            moved: Cell::new(Instant::now()),
            awaits_client: Cell::new(false),
            ended: Cell::new(incoming.is_end_stream()),
            too_large: Cell::new(false),
            broken: Cell::new(false),
        });
        let incoming = (!incoming.is_end_stream()).then_some(incoming);
        (Self { incoming, activity, upload: upload.clone(), bytes_max: bytes_max.unwrap_or(u64::MAX) }, upload)
    }

    /// Whether it says itself that it is longer than it may be.
    pub(crate) fn is_announced_too_large(&self) -> bool {
        self.size_hint().lower() > self.bytes_max
    }

    /// The same body once more, where it has no bytes.
    pub(crate) fn again(&self) -> Option<Self> {
        let Self { incoming: None, activity, upload, bytes_max } = self else { return None };
        Some(Self { incoming: None, activity: activity.another(), upload: upload.clone(), bytes_max: *bytes_max })
    }

    fn count(&self, frame: &Frame<Bytes>) -> Result<(), Error> {
        let Some(data) = frame.data_ref() else { return Ok(()) };
        let bytes = self.upload.bytes.get().saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        self.upload.bytes.set(bytes);
        if bytes > self.bytes_max {
            self.upload.too_large.set(true);
            return Err(format!("more than {} bytes", self.bytes_max).into());
        }
        Ok(())
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if self.incoming.is_some() && !self.upload.is_ended() {
            self.activity.left_unread();
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
        let Poll::Ready(frame) = Pin::new(&mut *incoming).poll_frame(context) else {
            this.activity.awaits_client();
            this.upload.awaits_client.set(true);
            return Poll::Pending;
        };
        this.activity.moved();
        this.upload.awaits_client.set(false);
        this.upload.moved.set(Instant::now());
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                this.upload.ended.set(incoming.is_end_stream());
                Some(this.count(&frame).map(|()| frame))
            }
            Some(Err(error)) => {
                this.upload.broken.set(true);
                Some(Err(error.into()))
            }
            None => {
                this.upload.ended.set(true);
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

/// A response's body on its way to the client. It carries the exchange's record, and with it the chain's lease: both end
/// with the last byte, or when the client leaves.
pub(crate) struct ResponseBody {
    source: Source,
    activity: BodyActivity,
    record: Record,
    upload: Option<Rc<Upload>>,
}

enum Source {
    /// Made by a plugin or by the host: all there.
    Whole(Option<Bytes>),
    /// From an endpoint.
    Upstream(Box<Download>),
    /// Ended, well or badly.
    Ended,
}

/// What comes from an endpoint, and the connection that it comes on.
struct Download {
    incoming: Incoming,
    connection: Connection,
    patience: Patience,
}

impl ResponseBody {
    /// All of the body.
    pub(crate) fn whole(body: Bytes, record: Record) -> Self {
        let source = if body.is_empty() { Source::Ended } else { Source::Whole(Some(body)) };
        Self::new(source, record, None)
    }

    /// What an endpoint sends. Its connection is free for the next request when this has ended well.
    pub(crate) fn upstream(
        incoming: Incoming,
        connection: Connection,
        timeout: Duration,
        (record, upload): (Record, Rc<Upload>),
    ) -> Self {
        if incoming.is_end_stream() {
            connection.release(&upload);
            return Self::new(Source::Ended, record, Some(upload));
        }
        let patience = Patience::new(timeout);
        Self::new(Source::Upstream(Box::new(Download { incoming, connection, patience })), record, Some(upload))
    }

    fn new(source: Source, mut record: Record, upload: Option<Rc<Upload>>) -> Self {
        if matches!(source, Source::Ended) {
            record.ended(Ending::Complete);
        }
        let activity = record.active().body();
        Self { source, activity, record, upload }
    }

    fn end(&mut self) {
        self.record.ended(Ending::Complete);
        if self.upload.as_ref().is_some_and(|upload| !upload.is_ended()) {
            self.activity.left_unread();
        }
        if let (Source::Upstream(download), Some(upload)) =
            (std::mem::replace(&mut self.source, Source::Ended), &self.upload)
        {
            download.connection.release(upload);
        }
    }

    fn break_off(&mut self, error: Error) -> Error {
        if let Source::Upstream(download) = &self.source {
            download.connection.failed(UpstreamFault::Body);
        }
        self.source = Source::Ended;
        self.record.truncated(format!("the endpoint's body broke off: {error}"));
        error
    }

    fn handed_over(&mut self, frame: &Frame<Bytes>) {
        if let Some(data) = frame.data_ref() {
            self.record.response_bytes(u64::try_from(data.len()).unwrap_or(u64::MAX));
        }
        // Until the next piece is asked for, it is the client who takes its time.
        self.activity.awaits_client();
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        this.activity.moved();
        let frame = match &mut this.source {
            Source::Ended => None,
            Source::Whole(body) => body.take().map(|body| Ok(Frame::data(body))),
            Source::Upstream(download) => ready!(download.poll(context)),
        };
        Poll::Ready(match frame {
            None => {
                this.end();
                None
            }
            Some(Err(error)) => Some(Err(this.break_off(error))),
            Some(Ok(frame)) => {
                this.handed_over(&frame);
                if this.is_end_stream() {
                    this.end();
                }
                Some(Ok(frame))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Ended => true,
            Source::Whole(body) => body.is_none(),
            Source::Upstream(download) => download.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Ended => SizeHint::with_exact(0),
            Source::Whole(body) => {
                SizeHint::with_exact(body.as_ref().map_or(0, |body| u64::try_from(body.len()).unwrap_or(u64::MAX)))
            }
            Source::Upstream(download) => download.incoming.size_hint(),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let Some(upload) = &self.upload {
            self.record.request_bytes(upload.bytes());
        }
    }
}

impl Download {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(context) {
            self.patience.renew();
            return Poll::Ready(frame.map(|frame| frame.map_err(Error::from)));
        }
        ready!(self.patience.poll(context));
        let error = io::Error::new(io::ErrorKind::TimedOut, "no progress in time");
        Poll::Ready(Some(Err(error.into())))
    }
}

/// A limit on one wait after another, whose timer exists only while there is something to wait for.
struct Patience {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        Self { limit, timer: None, waiting: false }
    }

    /// What was waited for is there.
    fn renew(&mut self) {
        self.waiting = false;
    }

    /// Ready when one wait has lasted too long.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.limit)));
        if !self.waiting {
            self.waiting = true;
            timer.as_mut().reset(Instant::now() + self.limit);
        }
        timer.as_mut().poll(context)
    }
}
