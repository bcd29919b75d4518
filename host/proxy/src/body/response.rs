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

use super::patience::Patience;
use super::{Error, Upload};
use crate::activity::BodyActivity;
use crate::record::Record;
use crate::upstream::Connection;

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
        self.activity.broke_off();
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
