//! A client's body on its way to an endpoint, and how far it is.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use palisade_config::ListenerLimits;
use tokio::time::Instant;

use super::Error;
use crate::activity::BodyActivity;

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
    /// How long it may wait for the client.
    patience: Cell<Duration>,
    ended: Cell<bool>,
    too_large: Cell<bool>,
    broken: Cell<Option<Broken>>,
}

/// What is wrong with a client's side of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It is not framed as HTTP says.
    Malformed,
    /// It ended before its end.
    Cut,
}

impl Broken {
    /// The decoder of chunks says what it does not understand in these two kinds.
    fn of(error: &hyper::Error) -> Self {
        let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
        match source.map(io::Error::kind) {
            Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => Self::Malformed,
            _ => Self::Cut,
        }
    }
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

    /// How long it may wait for the client.
    pub(crate) fn patience(&self) -> Duration {
        // A connection that waits as a whole is cut first; this is for a stream among others that move.
        self.patience.get() + self.patience.get() / 10
    }

    /// It may wait for the client for so long.
    pub(crate) fn set_patience(&self, patience: Duration) {
        self.patience.set(patience);
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

    /// What is wrong with the client's side of it, if anything.
    pub(crate) fn broken(&self) -> Option<Broken> {
        self.broken.get()
    }
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming, activity: BodyActivity, limits: &ListenerLimits) -> (Self, Rc<Upload>) {
        let upload = Rc::new(Upload {
            bytes: Cell::new(0),
            moved: Cell::new(Instant::now()),
            awaits_client: Cell::new(false),
            patience: Cell::new(limits.body_timeout),
            ended: Cell::new(incoming.is_end_stream()),
            too_large: Cell::new(false),
            broken: Cell::new(None),
        });
        let incoming = (!incoming.is_end_stream()).then_some(incoming);
        (
            Self {
                incoming,
                activity,
                upload: upload.clone(),
                bytes_max: limits.request_body_bytes.unwrap_or(u64::MAX),
            },
            upload,
        )
    }

    /// Whether it says itself that it is longer than it may be.
    pub(crate) fn is_announced_too_large(&self) -> bool {
        self.size_hint().lower() > self.bytes_max
    }

    /// Whether there never was a byte.
    pub(crate) fn is_empty(&self) -> bool {
        self.incoming.is_none()
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
                this.upload.broken.set(Some(Broken::of(&error)));
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
