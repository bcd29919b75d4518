//! A response on its way out: the head, the body's pieces, the trailers (RFC 9114, section 4.1).

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode, response};
use http_body::Body;
use quinn::SendStream;
use tokio::io::AsyncWrite;

use super::body::Link;
use super::fault::Code;
use super::{frame, qpack};
use crate::date;
use crate::serve::Outgoing;

/// A request's stream in our direction. Dropping it before its end resets it: what was sent never looks whole.
#[derive(Debug)]
pub(super) struct Answer {
    stream: SendStream,
    /// How long a client may have no room for the head.
    limit: Duration,
    /// Heads that are not the last one, as far as the client has had no room for them.
    interim: BytesMut,
    is_over: bool,
}

impl Answer {
    /// A client may have no room for its head for as long as `limit`.
    pub(super) fn new(stream: SendStream, limit: Duration) -> Self {
        Self { stream, limit, interim: BytesMut::new(), is_over: false }
    }

    /// Ready when the client has all of the answer; before its end, when the client does not want it, or has left.
    pub(super) fn over(&self) -> impl Future<Output = ()> + 'static {
        let stopped = self.stream.stopped();
        async move {
            // Whichever of these it is, nothing is left to be done.
            let _ = stopped.await;
        }
    }

    /// There is no answer, or no more of it.
    pub(super) fn reset(&mut self, code: Code) {
        self.is_over = true;
        // It fails where the client was first.
        let _ = self.stream.reset(code.into());
    }

    /// Takes a head that is not the last one (RFC 9114, section 4.1). What follows it sends it, if [`Answer::send_interim`] does
    /// not.
    pub(super) fn take_interim(&mut self, status: StatusCode, fields: &HeaderMap) {
        // One that is too large is lost: a client can do without it.
        if let Ok(framed) = frame_section(|section| qpack::response(status, fields, section)) {
            self.interim.extend_from_slice(&framed);
        }
    }

    /// Whether there is something for [`Answer::send_interim`].
    pub(super) fn has_interim(&self) -> bool {
        !self.interim.is_empty()
    }

    /// Sends what was taken. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The client is gone.
    pub(super) async fn send_interim(&mut self) -> Result<(), Code> {
        while !self.interim.is_empty() {
            let (stream, interim) = (&mut self.stream, &self.interim);
            let sent = poll_fn(|context| AsyncWrite::poll_write(Pin::new(&mut *stream), context, interim)).await;
            match sent {
                Ok(written) => self.interim.advance(written.min(self.interim.len())),
                Err(_) => {
                    self.interim.clear();
                    return Err(Code::RequestCancelled);
                }
            }
        }
        Ok(())
    }

    /// Sends all of a response.
    ///
    /// # Errors
    /// It is not whole: with this code its stream is to be reset.
    pub(super) async fn send(&mut self, response: Response<Outgoing>, link: &Link) -> Result<(), Code> {
        let (mut parts, body) = response.into_parts();
        let mut body = pin!(body);
        date::set(&mut parts.headers);
        self.write_head(&parts).await?;
        while !body.is_end_stream() {
            let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await else { break };
            let frame = frame.map_err(|_| Code::InternalError)?;
            match frame.into_data() {
                Ok(data) => self.write_data(data).await?,
                Err(frame) => self.write_trailers(frame.into_trailers().unwrap_or_default()).await?,
            }
            if let Some(code) = link.fault() {
                return Err(code);
            }
        }
        self.finish();
        Ok(())
    }

    /// Sends the head of an answer that opens a tunnel.
    ///
    /// # Errors
    /// As [`Answer::send`].
    pub(super) async fn send_head(&mut self, response: Response<Outgoing>) -> Result<(), Code> {
        let (mut parts, _) = response.into_parts();
        date::set(&mut parts.headers);
        self.write_head(&parts).await
    }

    /// Sends bytes that are framed already: how many the client has room for.
    pub(super) fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write(Pin::new(&mut self.stream), context, bytes)
    }

    /// Nothing follows.
    pub(super) fn finish(&mut self) {
        self.is_over = true;
        // It fails where the client has stopped it.
        let _ = self.stream.finish();
    }

    /// Whether it was ended, well or badly.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// No body waits for the client yet: the limit is this one's own.
    async fn write_head(&mut self, parts: &response::Parts) -> Result<(), Code> {
        let limit = self.limit;
        let written = self.write_section(|section| qpack::response(parts.status, &parts.headers, section));
        tokio::time::timeout(limit, written).await.unwrap_or(Err(Code::RequestCancelled))
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<(), Code> {
        if trailers.is_empty() {
            return Ok(());
        }
        self.write_section(|section| qpack::fields(&trailers, section)).await
    }

    async fn write_data(&mut self, data: Bytes) -> Result<(), Code> {
        if data.is_empty() {
            return Ok(());
        }
        let mut head = BytesMut::with_capacity(9);
        frame::put_integer(frame::DATA, &mut head);
        frame::put_integer(u64::try_from(data.len()).unwrap_or(u64::MAX), &mut head);
        self.write(&mut [head.freeze(), data]).await
    }

    async fn write_section(&mut self, code: impl FnOnce(&mut BytesMut)) -> Result<(), Code> {
        self.write(&mut [frame_section(code)?]).await
    }

    async fn write(&mut self, pieces: &mut [Bytes]) -> Result<(), Code> {
        self.send_interim().await?;
        self.stream.write_all_chunks(pieces).await.map_err(|_| Code::RequestCancelled)
    }
}

/// A HEADERS frame. Its length is written in four bytes, so that the section is coded in its place.
fn frame_section(code: impl FnOnce(&mut BytesMut)) -> Result<Bytes, Code> {
    const FOUR_BYTES: u32 = 0x8000_0000;
    const HEAD_BYTES: usize = 5;
    let mut framed = BytesMut::with_capacity(512);
    framed.put_bytes(0, HEAD_BYTES);
    code(&mut framed);
    let length = u32::try_from(framed.len() - HEAD_BYTES).ok().filter(|length| *length < FOUR_BYTES >> 1);
    let [a, b, c, d] = (length.ok_or(Code::InternalError)? | FOUR_BYTES).to_be_bytes();
    let kind = u8::try_from(frame::HEADERS).unwrap_or_default();
    if let Some(head) = framed.get_mut(..HEAD_BYTES) {
        head.copy_from_slice(&[kind, a, b, c, d]);
    }
    Ok(framed.freeze())
}

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.is_over {
            self.reset(Code::InternalError);
        }
    }
}
