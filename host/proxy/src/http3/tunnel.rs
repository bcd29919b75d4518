//! A request for a tunnel on its stream (RFC 9114, section 4.4; RFC 9220): once it is granted, nothing but DATA, whose bytes are
//! the tunnel's.

use std::cell::Cell;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::answer::Answer;
use super::body::Link;
use super::fault::{Code, Fault};
use super::frame;
use super::reader::{Piece, Reader, Take};
use super::request::{End, send_all};
use crate::body::ClientBody;
use crate::io::Abort;
use crate::serve::{self, Client};
use crate::site::Site;

/// Serves one CONNECT. What comes before it is answered waits within the stream's window. Dropping the future ends everything
/// that is under way for it.
pub(super) async fn run(
    (site, client): (Rc<Site>, Rc<Client>),
    (mut answer, mut reader): (Answer, Reader),
    parts: http::request::Parts,
    link: &Link,
) -> End {
    let request = Request::from_parts(parts, ClientBody::Empty);
    let served = {
        let (over, gone) = (answer.over(), reader.gone());
        tokio::select! {
            biased;
            response = serve::serve(site.clone(), client.clone(), request) => Some(response),
            () = over => None,
            () = gone => None,
        }
    };
    // It is this request's: nothing was awaited since.
    let tunnel = client.tunnel.take();
    let Some(Ok(mut response)) = served else {
        answer.reset(Code::RequestCancelled);
        reader.stop(Code::RequestCancelled);
        return if served.is_none() { End::Cancelled } else { End::Refused };
    };
    client.advertise(&site, response.headers_mut());
    let Some(tunnel) = tunnel else {
        reader.stop(Code::NoError);
        return send_all(answer, response, link).await;
    };
    let over = pin!(answer.over());
    if answer.send_head(response).await.is_err() {
        answer.reset(Code::RequestCancelled);
        return End::Cancelled;
    }
    let end = Cell::new(End::Cancelled);
    let stream = Tunnelled { answer, reader, link, end: &end, read: Bytes::new(), head: Bytes::new(), missing: 0 };
    tunnel.run(stream, &client.activity, Bytes::new()).await;
    if end.get() == End::Answered {
        // Whatever ends the connection before the client has all of it would take the rest away. Of a stream that was reset
        // nothing more is heard.
        over.await;
    }
    end.get()
}

/// A stream as a tunnel has it. Dropping it before its end resets it (RFC 9220, section 3; RFC 8441, section 5).
#[derive(Debug)]
struct Tunnelled<'a> {
    answer: Answer,
    reader: Reader,
    link: &'a Link,
    /// How it ended: the client has left, unless it is known better.
    end: &'a Cell<End>,
    /// What came and is not taken yet.
    read: Bytes,
    /// What is left of the head of a frame that goes out,
    head: Bytes,
    /// and how many bytes of its payload are to follow.
    missing: usize,
}

impl Abort for Tunnelled<'_> {
    fn abort(&self) {
        // It is not ended, and whoever aborts drops it.
        if !self.answer.is_over() {
            self.end.set(End::Refused);
        }
    }
}

impl AsyncRead for Tunnelled<'_> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read.is_empty() {
            match ready!(this.reader.poll_next(context, wanted)) {
                Ok(Some(Piece::Data(data))) => this.read = data,
                Ok(Some(Piece::Frame(..)) | None) => return Poll::Ready(Ok(())),
                Err(fault) => {
                    this.link.blame(fault);
                    return Poll::Ready(Err(io::Error::other(fault)));
                }
            }
        }
        let taken = this.read.split_to(this.read.len().min(into.remaining()));
        into.put_slice(&taken);
        Poll::Ready(Ok(()))
    }
}

/// RFC 9114, section 4.4.
fn wanted(kind: u64, _: u64) -> Result<Take, Fault> {
    match kind {
        frame::DATA => Ok(Take::Pieces),
        _ if frame::is_known(kind) => Err(Fault::Connection(Code::FrameUnexpected, "a frame has no place in a tunnel")),
        _ => Ok(Take::Nothing),
    }
}

impl AsyncWrite for Tunnelled<'_> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if this.missing == 0 {
            // What is not taken now is offered again: it is the frame's, too.
            this.missing = bytes.len();
            let mut head = BytesMut::with_capacity(9);
            frame::put_integer(frame::DATA, &mut head);
            frame::put_integer(u64::try_from(bytes.len()).unwrap_or(u64::MAX), &mut head);
            this.head = head.freeze();
        }
        while !this.head.is_empty() {
            let written = ready!(this.answer.poll_write(context, &this.head))?;
            this.head.advance(written.min(this.head.len()));
        }
        let payload = bytes.get(..this.missing.min(bytes.len())).unwrap_or_default();
        let written = ready!(this.answer.poll_write(context, payload))?;
        this.missing = this.missing.saturating_sub(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.answer.finish();
        this.end.set(End::Answered);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Tunnelled<'_> {
    fn drop(&mut self) {
        if !self.answer.is_over() {
            self.answer.reset(self.link.fault().unwrap_or(Code::RequestCancelled));
        }
        if !self.reader.is_ended() {
            self.reader.stop(Code::RequestCancelled);
        }
    }
}
