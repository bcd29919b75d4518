//! An answer's body on its way to the client: the host's own, a plugin's, or an endpoint's.

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

use super::filtered::{BrokenOff, Filtered, Source};
use super::patience::Patience;
use super::{Error, Upload};
use crate::activity::BodyActivity;
use crate::hygiene;
use crate::record::Record;
use crate::upstream::Connection;

/// A response's body on its way to the client. It carries the exchange's record, and with it the chain's lease: both end
/// with the last byte, or when the client leaves.
pub(crate) struct ResponseBody {
    /// What the filters of the chain make of it, where any wants it. Before the record, so that they hear first of its end.
    filtered: Option<Box<Filtered>>,
    origin: Origin,
    activity: BodyActivity,
    record: Box<Record>,
    upload: Option<Rc<Upload>>,
}

/// Where an answer's body comes from.
pub(crate) enum Origin {
    /// Made by a plugin or by the host: all there.
    Whole(Option<Bytes>),
    /// From an endpoint.
    Upstream(Box<Download>),
    /// Ended, well or badly.
    Ended,
}

/// What comes from an endpoint, and the connection that it comes on.
pub(crate) struct Download {
    incoming: Incoming,
    connection: Connection,
    patience: Patience,
    /// Over when the whole exchange has taken as long as it may.
    deadline: Option<Pin<Box<Sleep>>>,
}

/// What an endpoint's body is allowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    /// How long it may make no progress.
    pub(crate) timeout: Duration,
    /// When its last byte has to be there.
    pub(crate) deadline: Option<Instant>,
}

impl Origin {
    /// All of the body.
    pub(crate) fn whole(body: Bytes) -> Self {
        if body.is_empty() { Self::Ended } else { Self::Whole(Some(body)) }
    }

    /// What an endpoint sends. Its connection is free for the next request when this has ended well.
    pub(crate) fn upstream(incoming: Incoming, connection: Connection, limits: BodyLimits, upload: &Upload) -> Self {
        if incoming.is_end_stream() {
            connection.release(upload);
            return Self::Ended;
        }
        let patience = Patience::new(limits.timeout);
        let deadline = limits.deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline)));
        Self::Upstream(Box::new(Download { incoming, connection, patience, deadline }))
    }

    /// Whether there never was, or never will be, a byte.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Ended)
    }

    /// How long it is announced to be.
    pub(crate) fn announced(&self) -> Option<u64> {
        self.size_hint().exact()
    }

    /// The endpoint broke off.
    pub(crate) fn failed(&self) {
        if let Self::Upstream(download) = self {
            download.connection.failed(UpstreamFault::Body);
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Ended => SizeHint::with_exact(0),
            Self::Whole(body) => {
                SizeHint::with_exact(body.as_ref().map_or(0, |body| u64::try_from(body.len()).unwrap_or(u64::MAX)))
            }
            Self::Upstream(download) => download.incoming.size_hint(),
        }
    }
}

impl Source for Origin {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self {
            Self::Ended => Poll::Ready(None),
            Self::Whole(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Self::Upstream(download) => download.poll(context),
        }
    }

    fn is_ended(&self) -> bool {
        match self {
            Self::Ended => true,
            Self::Whole(body) => body.is_none(),
            Self::Upstream(download) => download.incoming.is_end_stream(),
        }
    }
}

impl ResponseBody {
    /// The body from there, through these filters.
    pub(crate) fn new(
        origin: Origin,
        filtered: Option<Box<Filtered>>,
        mut record: Box<Record>,
        upload: Option<Rc<Upload>>,
    ) -> Self {
        if matches!(origin, Origin::Ended) && filtered.is_none() {
            record.ended(Ending::Complete);
        }
        let activity = record.active().body();
        Self { filtered, origin, activity, record, upload }
    }

    fn end(&mut self) {
        self.record.ended(Ending::Complete);
        if self.upload.as_ref().is_some_and(|upload| !upload.is_ended()) {
            self.activity.left_unread();
        }
        if let (Origin::Upstream(download), Some(upload)) =
            (std::mem::replace(&mut self.origin, Origin::Ended), &self.upload)
        {
            download.connection.release(upload);
        }
    }

    fn break_off(&mut self, broken: BrokenOff) -> Error {
        let error = match broken {
            BrokenOff::Source(error) => {
                self.origin.failed();
                self.record.truncated(format!("the endpoint's body broke off: {error}"));
                error
            }
            BrokenOff::Plugin(stopped) => {
                let plugin = stopped.plugin().clone();
                let error = format!("the plugin {plugin:?} broke off the response's body");
                self.record.decided_by(plugin);
                self.record.truncated(error.clone());
                error.into()
            }
        };
        // With the connection goes whatever the endpoint still sends.
        self.origin = Origin::Ended;
        self.filtered = None;
        self.activity.broke_off();
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
        let frame = match &mut this.filtered {
            None => ready!(this.origin.poll_frame(context)).map(|frame| frame.map_err(BrokenOff::Source)),
            Some(filtered) => ready!(filtered.poll_frame(&mut this.origin, context)),
        };
        Poll::Ready(match frame {
            None => {
                this.end();
                None
            }
            Some(Err(error)) => Some(Err(this.break_off(error))),
            Some(Ok(frame)) => {
                this.handed_over(&frame);
                // Nothing follows trailers, and nobody asks again.
                if frame.is_trailers() || this.is_end_stream() {
                    this.end();
                }
                Some(Ok(frame))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.filtered.as_ref().map_or_else(|| self.origin.is_ended(), |filtered| filtered.is_ended())
    }

    fn size_hint(&self) -> SizeHint {
        self.filtered.as_ref().map_or_else(|| self.origin.size_hint(), |filtered| filtered.size_hint())
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
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(context).is_ready()
        {
            let error = io::Error::new(io::ErrorKind::TimedOut, "the whole exchange has taken as long as it may");
            return Poll::Ready(Some(Err(error.into())));
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(context) {
            self.patience.renew();
            return Poll::Ready(self.came(frame));
        }
        ready!(self.patience.poll(context));
        self.connection.distrust();
        let error = io::Error::new(io::ErrorKind::TimedOut, "no progress in time");
        Poll::Ready(Some(Err(error.into())))
    }

    fn came(&self, frame: Option<Result<Frame<Bytes>, hyper::Error>>) -> Option<Result<Frame<Bytes>, Error>> {
        match frame {
            None if self.connection.is_cut_short(&self.incoming) => Some(Err("reset before its end".into())),
            None => None,
            Some(Err(error)) => Some(Err(error.into())),
            Some(Ok(mut frame)) => {
                if let Some(trailers) = frame.trailers_mut() {
                    hygiene::trailers(trailers);
                }
                Some(Ok(frame))
            }
        }
    }
}
