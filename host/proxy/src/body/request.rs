//! A client's body on its way to an endpoint, and how far it is.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http_body::{Body, Frame, SizeHint};
use palisade_config::ListenerLimits;
use palisade_contract::{Exchange, Stopped};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::copied::{Copy, Copying};
use super::filtered::{BrokenOff, Filtered, Source};
use super::kept::Reader;
use super::pace::Pace;
use super::{Broken, ClientBody, Error, Way};
use crate::activity::{Activity, BodyActivity};
use crate::error::RequestError;
use crate::moment;

/// A client's body on its way to an endpoint.
#[derive(Debug)]
pub(crate) enum RequestBody {
    /// As it comes.
    Direct(Direct),
    /// So that it can be sent more than once.
    Kept(Reader),
}

/// A body as it comes, once.
#[derive(Debug)]
pub(crate) struct Direct {
    /// What the filters of the chain make of it, where any wants it. Before what they get it from, so that they hear first
    /// of its end.
    filtered: Option<Box<Filtered>>,
    upload: UploadBody,
    /// Of what goes on, where somebody wants it.
    copying: Option<Box<Copying>>,
}

/// A body as it comes from the client.
#[derive(Debug)]
struct UploadBody {
    /// None where there never was a byte.
    incoming: Option<Origin>,
    activity: BodyActivity,
    upload: Rc<Upload>,
    bytes_max: u64,
    version: Version,
    pace: Option<Pace>,
}

/// Where the body of a request comes from.
#[derive(Debug)]
enum Origin {
    Client(ClientBody),
    /// A plugin, all of it; no bytes once it has gone on.
    Plugin(Bytes),
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
    /// It is sent again, and what was read of it once is not sent yet.
    repeats: Cell<bool>,
    too_large: Cell<bool>,
    broken: Cell<Option<Broken>>,
    stopped: RefCell<Option<Stopped>>,
}

/// There is no client to be waited for.
const NO_CLIENT: Duration = Duration::from_secs(24 * 3_600);

impl Upload {
    fn new(patience: Duration, is_ended: bool) -> Rc<Self> {
        Rc::new(Self {
            bytes: Cell::new(0),
            moved: Cell::new(moment::now()),
            awaits_client: Cell::new(false),
            patience: Cell::new(patience),
            ended: Cell::new(is_ended),
            repeats: Cell::new(false),
            too_large: Cell::new(false),
            broken: Cell::new(None),
            stopped: RefCell::default(),
        })
    }

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

    /// Whether all of it was read, by whom it is sent to now.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended.get() && !self.repeats.get()
    }

    /// Whether it is sent again, and what was read of it once is not sent yet.
    pub(super) fn repeats(&self, repeats: bool) {
        self.repeats.set(repeats);
    }

    /// What is wrong with it, if that is the client's doing.
    pub(crate) fn fault(&self) -> Option<RequestError> {
        if self.too_large.get() {
            return Some(RequestError::BodyTooLarge);
        }
        self.broken.get().map(|broken| match broken {
            Broken::Malformed => RequestError::Body,
            Broken::Cut => RequestError::ClientGone,
        })
    }

    /// Whether a plugin decided something in the middle of it.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.borrow().is_some()
    }

    /// What a plugin decided in the middle of it, if any did. Says it once.
    pub(crate) fn stopped(&self) -> Option<Stopped> {
        self.stopped.take()
    }
}

impl RequestBody {
    pub(crate) fn new(
        (version, incoming): (Version, ClientBody),
        activity: BodyActivity,
        limits: &ListenerLimits,
    ) -> (Self, Rc<Upload>) {
        let upload = Upload::new(limits.body_timeout, incoming.is_end_stream());
        let pace = incoming.size_hint().exact().map(|_| Pace::new(limits.request_body_rate));
        let incoming = (!incoming.is_end_stream()).then_some(Origin::Client(incoming));
        let bytes_max = limits.request_body_bytes.unwrap_or(u64::MAX);
        let body = UploadBody { incoming, activity, upload: upload.clone(), bytes_max, version, pace };
        (Self::Direct(Direct { filtered: None, upload: body, copying: None }), upload)
    }

    /// The body of a request that no client made.
    pub(crate) fn whole(bytes: Bytes) -> (Self, Rc<Upload>) {
        let upload = Upload::new(NO_CLIENT, true);
        let incoming = (!bytes.is_empty()).then_some(Origin::Plugin(bytes));
        let activity = Activity::new().exchange().body();
        let (version, bytes_max) = (Version::HTTP_11, u64::MAX);
        let body = UploadBody { incoming, activity, upload: upload.clone(), bytes_max, version, pace: None };
        (Self::Direct(Direct { filtered: None, upload: body, copying: None }), upload)
    }

    /// Whether it says itself that it is longer than it may be.
    pub(crate) fn is_announced_too_large(&self) -> bool {
        match self {
            Self::Direct(direct) => direct.upload.size_hint().lower() > direct.upload.bytes_max,
            Self::Kept(_) => false,
        }
    }

    /// Whether there never was a byte.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Direct(Direct { upload: UploadBody { incoming: None, .. }, .. }))
    }

    /// How long the client says that it is.
    pub(crate) fn announced(&self) -> Option<u64> {
        match self {
            Self::Direct(direct) => direct.upload.size_hint().exact(),
            Self::Kept(reader) => reader.size_hint().exact(),
        }
    }

    /// Lets filters see as much of it as they want to before its head may go on.
    ///
    /// # Errors
    /// It does not go on.
    pub(crate) async fn hold(&mut self, way: &mut Way, exchange: &mut Box<Exchange>) -> Result<(), BrokenOff> {
        match self {
            Self::Direct(direct) => way.hold(exchange, &mut direct.upload).await,
            // It is kept behind its filters.
            Self::Kept(_) => Ok(()),
        }
    }

    /// It goes through these filters from now on.
    pub(crate) fn filtered(&mut self, filtered: Box<Filtered>) {
        if let Self::Direct(direct) = self {
            direct.filtered = Some(filtered);
        }
    }

    /// A copy of what goes on of it, up to a limit. None where it goes on already.
    pub(crate) fn copied(&mut self, bytes_max: usize) -> Option<oneshot::Receiver<Copy>> {
        let Self::Direct(direct) = self else { return None };
        let (copying, copy) = Copying::new(bytes_max);
        direct.copying = Some(Box::new(copying));
        Some(copy)
    }

    /// The same body, of which so much is kept as it goes on that it can be sent again. One that has no bytes can be in any case.
    pub(crate) fn kept(self, bytes_max: usize) -> Self {
        match self {
            Self::Direct(direct) if direct.upload.incoming.is_some() => {
                let upload = direct.upload.upload.clone();
                Self::Kept(Reader::new(direct, upload, bytes_max))
            }
            other => other,
        }
    }

    /// The same body once more, where it has no bytes, or all that has gone on was kept.
    pub(crate) fn again(&self) -> Option<Self> {
        let direct = match self {
            Self::Direct(direct) => direct,
            Self::Kept(reader) => return reader.again().map(Self::Kept),
        };
        let UploadBody { incoming: None, activity, upload, bytes_max, version, .. } = &direct.upload else {
            return None;
        };
        let (activity, upload) = (activity.another(), upload.clone());
        let upload =
            UploadBody { incoming: None, activity, upload, bytes_max: *bytes_max, version: *version, pace: None };
        Some(Self::Direct(Direct { filtered: None, upload, copying: None }))
    }

    /// Whether it could be sent once more.
    pub(crate) fn is_repeatable(&self) -> bool {
        match self {
            Self::Direct(direct) => direct.upload.incoming.is_none(),
            Self::Kept(reader) => reader.is_kept(),
        }
    }

    /// It will not be sent again: nothing of it has to be kept.
    pub(crate) fn forget(&self) {
        if let Self::Kept(reader) = self {
            reader.forget();
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Direct(direct) => Pin::new(direct).poll_frame(context),
            Self::Kept(reader) => Pin::new(reader).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Direct(direct) => direct.is_end_stream(),
            Self::Kept(reader) => reader.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Direct(direct) => direct.size_hint(),
            Self::Kept(reader) => reader.size_hint(),
        }
    }
}

impl Direct {
    fn poll_uncopied(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Self { filtered, upload, .. } = self;
        let Some(filtered) = filtered else { return upload.poll_frame(context) };
        let frame = ready!(filtered.poll_frame(upload, context));
        Poll::Ready(frame.map(|frame| {
            frame.map_err(|broken| match broken {
                BrokenOff::Source(error) => error,
                BrokenOff::Plugin(stopped) => {
                    upload.upload.stopped.replace(Some(stopped));
                    "a plugin stopped the body".into()
                }
            })
        }))
    }
}

impl Body for Direct {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let frame = ready!(this.poll_uncopied(context));
        let is_end = frame.is_none() || this.is_end_stream();
        if let Some(copying) = &mut this.copying {
            match &frame {
                Some(Ok(frame)) => copying.passed(frame),
                // Nobody says that it was whole.
                Some(Err(_)) => this.copying = None,
                None => {}
            }
        }
        if let Some(copying) = this.copying.as_mut().filter(|_| is_end) {
            copying.ended();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.filtered.as_ref().map_or_else(|| self.upload.is_ended(), |filtered| filtered.is_ended())
    }

    fn size_hint(&self) -> SizeHint {
        self.filtered.as_ref().map_or_else(|| self.upload.size_hint(), |filtered| filtered.size_hint())
    }
}

impl UploadBody {
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

    fn size_hint(&self) -> SizeHint {
        match &self.incoming {
            None => SizeHint::with_exact(0),
            Some(Origin::Client(incoming)) => incoming.size_hint(),
            Some(Origin::Plugin(bytes)) => SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
        }
    }
}

impl Drop for UploadBody {
    fn drop(&mut self) {
        if self.incoming.is_some() && !self.upload.is_ended() {
            self.activity.left_unread();
        }
    }
}

impl Source for UploadBody {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let incoming = match &mut self.incoming {
            None => return Poll::Ready(None),
            Some(Origin::Client(incoming)) => incoming,
            Some(Origin::Plugin(bytes)) => {
                let bytes = std::mem::take(bytes);
                return Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))));
            }
        };
        let Poll::Ready(frame) = incoming.poll_frame(context) else {
            if !self.upload.awaits_client.replace(true) && self.pace.as_mut().is_some_and(Pace::begins_anew) {
                self.activity.moved();
                self.upload.moved.set(moment::now());
            }
            self.activity.awaits_client();
            return Poll::Pending;
        };
        let bytes = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
        let (patience, is_end) = (self.upload.patience.get(), incoming.is_end_stream());
        // What is there already when it is wanted was not waited for.
        let is_anew = !self.upload.awaits_client.get() && self.pace.as_mut().is_some_and(Pace::begins_anew);
        if is_anew || is_end || self.pace.as_mut().is_none_or(|pace| pace.is_progress(bytes, patience)) {
            self.activity.moved();
            self.upload.moved.set(moment::now());
        } else {
            self.activity.rests();
        }
        self.upload.awaits_client.set(false);
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                self.upload.ended.set(incoming.is_end_stream());
                Some(self.count(&frame).map(|()| frame))
            }
            Some(Err((broken, error))) => {
                self.upload.broken.set(Some(broken));
                Some(Err(error))
            }
            // A stream can be reset without an error, which is no end (RFC 9113, section 8.1).
            None if self.version == Version::HTTP_2 && !incoming.is_end_stream() => {
                self.upload.broken.set(Some(Broken::Cut));
                Some(Err("reset before its end".into()))
            }
            None => {
                self.upload.ended.set(true);
                None
            }
        })
    }

    fn is_ended(&self) -> bool {
        match &self.incoming {
            None => true,
            Some(Origin::Client(incoming)) => incoming.is_end_stream(),
            Some(Origin::Plugin(bytes)) => bytes.is_empty(),
        }
    }
}
