//! One client's connection that speaks HTTP/1.
//!
//! hyper serves it, with buffers that are most of what a connection costs. One that is idle has none: it waits for its socket
//! alone, and is handed to hyper again when something comes.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use palisade_config::ListenerLimits;
use palisade_contract::Refusal;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;

use super::drive::{DRAIN_GRACE, REST_AFTER, Serves, Turn, drive};
use super::{Refused, Then};
use crate::body::ClientBody;
use crate::io::{Abort, Await, Cut, Watched};
use crate::linger::{close_well, linger};
use crate::serve::{self, Client, Closed, Outgoing};
use crate::site::Listening;

/// Serves one connection of HTTP/1 to its end.
///
/// # Errors
/// It ended by our doing, and why.
pub(super) fn serve<S>(
    listening: &Rc<Listening>,
    client: &Rc<Client>,
    stream: S,
    drain: watch::Receiver<bool>,
) -> impl Future<Output = Result<(), Refused>> + use<S>
where
    S: AsyncRead + AsyncWrite + Abort + Await + Unpin + 'static,
{
    // What HTTP itself is limited to stays as it was when the connection began.
    let ListenerLimits { headers, header_bytes, .. } = listening.site().config.limits;
    let buffer_bytes = header_bytes.max(SMALLEST_BUFFER);
    let stream = Watched::new(stream, client.activity.clone(), buffer_bytes);
    let begin = {
        let (listening, client, stream) = (listening.clone(), client.clone(), stream.clone());
        move || {
            let (listening, client, answered) = (listening.clone(), client.clone(), stream.clone());
            let service = service_fn(move |request| answer(&listening, &client, &answered, request));
            let connection = http1::Builder::new()
                .max_headers(headers)
                .max_buf_size(buffer_bytes)
                // The activity's timer keeps both limits on heads; two timers would be one too many.
                .header_read_timeout(None)
                .serve_connection(TokioIo::new(stream.clone()), service);
            Box::new(connection)
        }
    };
    let (listening, client) = (listening.clone(), client.clone());
    let mut served = Served { client, stream, begin, hyper: None };
    let (activity, mut drain) = (served.client.activity.clone(), drain);
    async move {
        let cut = Cut::new(served.stream.clone(), activity.clone());
        let ended = drive(&listening, &activity, &mut served, &mut drain).await;
        cut.ends(ended);
        // Boxed, because an idle connection is as large as its future.
        Box::pin(served.end(ended)).await
    }
}

/// The least that hyper takes for its read buffer.
const SMALLEST_BUFFER: usize = 8 << 10;

fn answer<S>(
    listening: &Listening,
    client: &Rc<Client>,
    stream: &Watched<S>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Outgoing>, Closed>> + use<S> {
    let (site, client, stream) = (listening.site(), client.clone(), stream.clone());
    let is_upgrade = request.headers().contains_key(UPGRADE);
    let served = serve::serve(site.clone(), client.clone(), request.map(ClientBody::Hyper));
    Then::new(served, move |mut response: Response<Outgoing>| {
        client.advertise(&site, response.headers_mut());
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            // Its `Connection` field is the upgrade's (RFC 9110, section 7.8).
            stream.ends();
            return response;
        }
        if client.activity.is_draining() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if is_upgrade {
            stream.goes_on();
        }
        response
    })
}

/// A connection, at work or at rest.
struct Served<S, B, A>
where
    A: Service<Request<Incoming>, Response = Response<Outgoing>, Error = Closed>,
{
    client: Rc<Client>,
    stream: Watched<S>,
    /// Hands the stream to hyper.
    begin: B,
    /// None at rest.
    hyper: Option<Box<Hyper<S, A>>>,
}

type Hyper<S, A> = http1::Connection<TokioIo<Watched<S>>, A>;

impl<S, B, A> Served<S, B, A>
where
    S: AsyncRead + AsyncWrite + Unpin,
    B: Fn() -> Box<Hyper<S, A>>,
    A: Service<Request<Incoming>, Response = Response<Outgoing>, Error = Closed>,
{
    fn hyper(&mut self) -> Pin<&mut Hyper<S, A>> {
        Pin::new(self.hyper.get_or_insert_with(&self.begin))
    }

    /// Takes it from hyper: what was read, and to no end.
    fn take(&mut self) -> Bytes {
        self.hyper.take().map(|hyper| hyper.into_parts().read_buf).unwrap_or_default()
    }
}

impl<S, B, A> Serves for Served<S, B, A>
where
    S: AsyncRead + AsyncWrite + Await + Unpin + 'static,
    B: Fn() -> Box<Hyper<S, A>>,
    A: Service<Request<Incoming>, Response = Response<Outgoing>, Error = Closed>,
{
    const GRACE: Duration = DRAIN_GRACE;

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Turn> {
        if let Some(hyper) = &mut self.hyper {
            return Pin::new(hyper).poll(context).map(Turn::Ended);
        }
        ready!(self.stream.poll_news(context));
        self.hyper();
        Poll::Ready(Turn::Woken)
    }

    fn close(&mut self) {
        // What is answered then says so itself, and a 101 has a field of its own in that place.
        if !self.stream.is_undecided() {
            self.hyper().graceful_shutdown();
        }
    }

    fn rest(&mut self, now: Instant) -> Option<Instant> {
        let due = self.client.activity.idle_since().filter(|_| self.hyper.is_some())? + REST_AFTER;
        if now < due {
            return Some(due);
        }
        if self.stream.is_between_messages() {
            let read = self.take();
            self.stream.rests(read);
            // It was hyper's, and that had answered it.
            self.client.upgrade_offered.set(false);
        }
        None
    }
}

impl<S, B, A> Served<S, B, A>
where
    S: AsyncRead + AsyncWrite + Abort + Unpin,
    B: Fn() -> Box<Hyper<S, A>>,
    A: Service<Request<Incoming>, Response = Response<Outgoing>, Error = Closed>,
{
    /// What is left to do when hyper is done, or was stopped.
    async fn end(mut self, ended: Result<(), Refusal>) -> Result<(), Refused> {
        let stream = self.stream.clone();
        let activity = &self.client.activity.clone();
        let refused = stream.refused();
        let tunnel = self.client.tunnel.take().filter(|_| refused.is_none());
        if let (Ok(()), Some(tunnel)) = (ended, tunnel) {
            let (read, held) = (self.take(), stream.take_held());
            let read = if held.is_empty() { read } else { [read.as_ref(), &held].concat().into() };
            tunnel.run(stream, activity, read).await;
            return Ok(());
        }
        if activity.must_not_end_well() {
            // RFC 9112, section 8.
            stream.abort();
        } else if refused.is_some() || ended == Err(Refusal::Protocol) || (ended.is_ok() && activity.has_unread()) {
            linger(stream).await;
        } else if ended.is_ok() && self.client.upgrade_offered.get() {
            close_well(stream).await;
        }
        match refused {
            Some(why) => Err(Refused { why: Refusal::Protocol, detail: Some(why.to_string()) }),
            None => ended.map_err(Refused::from),
        }
    }
}
