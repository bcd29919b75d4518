//! What follows a request's head on its stream: the body and the trailers (RFC 9114, section 4.1).

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tokio::sync::Notify;

use super::fault::{Code, Fault};
use super::reader::{Piece, Reader, Take};
use super::{frame, head};

/// A request's body, as its client sends it. Dropping it before its end asks the client to stop, which does not touch the
/// answer (section 4.1).
#[derive(Debug)]
pub(crate) struct Body {
    reader: Reader,
    link: Rc<Link>,
    /// What was looked at before it was asked for.
    next: Option<Option<Frame<Bytes>>>,
    /// How long the head says that it is.
    declared: Option<u64>,
    seen: u64,
    trailers_bytes_max: usize,
    /// They go on when nothing follows them.
    trailers: Option<HeaderMap>,
    is_ended: bool,
}

/// What a request's body, which goes to the endpoint's connection, and the task of its stream tell each other.
#[derive(Debug)]
pub(super) struct Link {
    connection: quinn::Connection,
    fault: Cell<Option<Code>>,
    /// The client sends no body before it is told to.
    expects: Cell<bool>,
    is_awaited: Notify,
}

impl Link {
    pub(super) fn new(connection: quinn::Connection) -> Rc<Self> {
        Rc::new(Self { connection, fault: Cell::new(None), expects: Cell::new(false), is_awaited: Notify::new() })
    }

    /// The client waits for leave to send its body (RFC 9110, section 10.1.1).
    pub(super) fn expects(&self) {
        self.expects.set(true);
    }

    /// Ready when a body is waited for whose client waits for leave.
    pub(super) async fn awaited(&self) {
        self.is_awaited.notified().await;
    }

    /// What the stream is to be reset with, if it is.
    pub(super) fn fault(&self) -> Option<Code> {
        self.fault.get()
    }

    /// Closes the connection, or keeps the code until the stream is reset.
    pub(super) fn blame(&self, fault: Fault) {
        match fault {
            Fault::Connection(code, why) => self.connection.close(code.into(), why.as_bytes()),
            Fault::Stream(code, _) => self.fault.set(Some(code)),
            // Trailers that are too large: the head was answered or will be, but not as if it were whole.
            Fault::TooLarge => self.fault.set(Some(Code::ExcessiveLoad)),
            Fault::Gone => {}
        }
    }
}

impl Body {
    pub(super) fn new(reader: Reader, link: Rc<Link>, declared: Option<u64>, trailers_bytes_max: usize) -> Self {
        let is_ended = reader.is_ended();
        Self { reader, link, next: None, declared, seen: 0, trailers_bytes_max, trailers: None, is_ended }
    }

    /// Looks at what comes first, and keeps it.
    ///
    /// # Errors
    /// As [`Body::poll_frame`].
    pub(super) fn poll_peek(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        if self.next.is_none() && !self.is_ended {
            let next = ready!(self.poll_read(context))?;
            self.next = Some(next);
        }
        Poll::Ready(Ok(()))
    }

    /// The next piece, or the trailers, or none at the end.
    ///
    /// # Errors
    /// What comes is malformed, or the client has left. The stream's own task or the connection knows of it then.
    pub(crate) fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if let Some(next) = self.next.take() {
            return Poll::Ready(next.map(Ok));
        }
        if self.is_ended {
            return Poll::Ready(None);
        }
        let Poll::Ready(frame) = self.poll_read(context) else {
            if self.link.expects.take() {
                self.link.is_awaited.notify_one();
            }
            return Poll::Pending;
        };
        if frame.as_ref().is_ok_and(|frame| frame.is_some()) && self.declared == Some(self.seen) {
            // The end often comes with the last piece, and who sends the body on wants to know.
            if let Poll::Ready(Ok(next)) = self.poll_read(context) {
                self.next = next.is_some().then_some(next);
            }
        }
        Poll::Ready(frame.transpose())
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Frame<Bytes>>, Fault>> {
        let read = ready!(self.poll_piece(context));
        if let Err(fault) = read {
            self.is_ended = true;
            self.link.blame(fault);
            if let Some(code) = self.link.fault() {
                self.reader.stop(code);
            }
        }
        Poll::Ready(read)
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Frame<Bytes>>, Fault>> {
        let bytes_max = self.trailers_bytes_max;
        loop {
            let has_trailers = self.trailers.is_some();
            let take = |kind, length| wanted(kind, length, has_trailers, bytes_max);
            match ready!(self.reader.poll_next(context, take))? {
                Some(Piece::Data(data)) => {
                    self.seen = self.seen.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
                    if self.declared.is_some_and(|declared| self.seen > declared) {
                        return Poll::Ready(Err(Fault::Stream(Code::MessageError, "a body is longer than its length")));
                    }
                    return Poll::Ready(Ok(Some(Frame::data(data))));
                }
                Some(Piece::Frame(_, section)) => self.trailers = Some(head::trailers(&section, bytes_max)?),
                None => {
                    self.check_length()?;
                    self.is_ended = true;
                    return Poll::Ready(Ok(self.trailers.take().map(Frame::trailers)));
                }
            }
        }
    }

    /// Section 4.1.2: a body is as long as its head says.
    fn check_length(&self) -> Result<(), Fault> {
        match self.declared {
            Some(declared) if declared != self.seen => {
                Err(Fault::Stream(Code::MessageError, "a body is shorter than its length"))
            }
            _ => Ok(()),
        }
    }

    /// Whether nothing comes any more.
    pub(crate) fn is_end_stream(&self) -> bool {
        self.is_ended && self.next.as_ref().is_none_or(Option::is_none)
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        if self.is_end_stream() {
            return SizeHint::with_exact(0);
        }
        self.declared.map_or_else(SizeHint::default, |declared| {
            let ahead = match &self.next {
                Some(Some(frame)) => frame.data_ref().map_or(0, Bytes::len),
                _ => 0,
            };
            SizeHint::with_exact(declared.saturating_sub(self.seen) + u64::try_from(ahead).unwrap_or_default())
        })
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if !self.is_ended {
            self.reader.stop(Code::NoError);
        }
    }
}

/// What is wanted of a frame that follows a head: section 4.1 says which may.
fn wanted(kind: u64, length: u64, has_trailers: bool, bytes_max: usize) -> Result<Take, Fault> {
    match kind {
        frame::DATA if !has_trailers => Ok(Take::Pieces),
        frame::HEADERS if !has_trailers => whole(length, bytes_max),
        _ if frame::is_known(kind) => {
            Err(Fault::Connection(Code::FrameUnexpected, "a frame has no place on a request's stream, or none there"))
        }
        _ => Ok(Take::Nothing),
    }
}

/// A field section is no longer in QPACK than it is in all.
pub(super) fn whole(length: u64, bytes_max: usize) -> Result<Take, Fault> {
    if usize::try_from(length).is_ok_and(|length| length <= bytes_max) { Ok(Take::Whole) } else { Err(Fault::TooLarge) }
}
