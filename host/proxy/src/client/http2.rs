//! One client's connection that speaks HTTP/2.

use std::cell::{Cell, OnceCell, RefCell};
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::{TokioIo, TokioTimer};
use palisade_contract::Refusal;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::drive::{Serves, Turn, drive};
use super::{Refused, Then};
use crate::body::ClientBody;
use crate::guard::Fault;
use crate::hygiene::Protocol;
use crate::io::{Abort, Framed};
use crate::linger::linger;
use crate::moment::InTurns;
use crate::serve::{self, Client, Closed, Outgoing};
use crate::site::{Listening, Site};
use crate::tunnel::Tunnel;

/// Streams that a client may reset before we accepted them, and those that we may reset for its errors, before the
/// connection is closed (CVE-2023-44487, CVE-2025-8671).
const RESETS_MAX: usize = 20;
const LOCAL_RESETS_MAX: usize = 100;

/// Flow-control windows of HTTP/2: what one stream, and one connection, may have in memory here.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
const SEND_BUFFER_BYTES_MAX: usize = 256 << 10;

/// Serves one connection of HTTP/2 to its end.
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
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    // Not every byte of HTTP/2 belongs to a head: when one began is not noted here, and a head that does not end is bounded
    // by the idle limit.
    let stream = Framed::new(stream, client.activity.clone(), &listening.site().config.limits);
    // Not the stream itself: as an argument, it would be here twice.
    run(listening.clone(), client.clone(), stream, drain)
}

async fn run<S>(
    listening: Rc<Listening>,
    client: Rc<Client>,
    mut stream: Framed<S>,
    mut drain: watch::Receiver<bool>,
) -> Result<(), Refused>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let limits = listening.site().config.limits;
    let activity = &client.activity;
    let (tunnels, opening) = (Rc::<Tunnels>::default(), Opening::default());
    let service = {
        let (listening, client, opening) = (listening.clone(), client.clone(), opening.clone());
        let tunnels = tunnels.clone();
        service_fn(move |request| {
            answer_or_open(listening.site(), client.clone(), (tunnels.clone(), opening.clone()), request)
        })
    };
    let ended = {
        let mut builder = http2::Builder::new(LocalExecutor(opening));
        if listening.site().takes_upgrades() {
            // RFC 8441, section 3.
            builder.enable_connect_protocol();
        }
        let served = pin!(
            builder
                .timer(TokioTimer::new())
                .max_concurrent_streams(limits.streams)
                .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
                .max_pending_accept_reset_streams(RESETS_MAX)
                .max_local_error_reset_streams(LOCAL_RESETS_MAX)
                .initial_stream_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .max_send_buf_size(SEND_BUFFER_BYTES_MAX)
                .serve_connection(TokioIo::new(stream.clone()), service)
        );
        let mut served = Served { served, stream: stream.clone(), close: http2::Connection::graceful_shutdown };
        drive(&listening, activity, &mut served, &mut drain).await
    };
    let Some(fault) = activity.fault() else { return ended.map_err(Refused::from) };
    // What was being written may be cut by it: a client that does this has no claim to more.
    let telling = async {
        stream.write_all(&fault.goaway()).await?;
        stream.send().await
    };
    let told = tokio::time::timeout(GOAWAY_LIMIT, telling).await.is_ok_and(|sent| sent.is_ok());
    let why = match fault {
        // Nor to being listened to.
        Fault::Flood => Refusal::Flood,
        Fault::FrameSize | Fault::Compression | Fault::Window => {
            if told {
                linger(stream).await;
            }
            Refusal::Protocol
        }
    };
    Err(Refused { why, detail: Some(fault.to_string()) })
}

/// A connection of hyper's, and how it is ended.
struct Served<'a, C, S> {
    served: Pin<&'a mut C>,
    stream: Framed<S>,
    close: fn(Pin<&mut C>),
}

impl<C, S> Serves for Served<'_, C, S>
where
    C: Future<Output = hyper::Result<()>>,
    S: AsyncWrite + Unpin,
{
    /// GOAWAY says which streams are still served, and none is lost.
    const GRACE: Duration = Duration::ZERO;

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Turn> {
        let served = self.served.as_mut().poll(context);
        // All frames of a turn in one write.
        self.stream.poll_send(context);
        served.map(Turn::Ended)
    }

    fn close(&mut self) {
        (self.close)(self.served.as_mut());
    }

    /// It never does: the states of both sides belong to it.
    fn rest(&mut self, _: Instant) -> Option<Instant> {
        None
    }
}

/// Serves a request that hyper has read; one for a tunnel that is granted becomes one of `tunnels`.
fn answer_or_open(
    site: Rc<Site>,
    client: Rc<Client>,
    (tunnels, opening): (Rc<Tunnels>, Opening),
    mut request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Outgoing>, Closed>> {
    let extensions = request.extensions_mut();
    // Every CONNECT has it.
    let stream = extensions.remove::<OnUpgrade>();
    if let Some(protocol) = extensions.remove::<hyper::ext::Protocol>()
        && let Ok(protocol) = HeaderValue::from_str(protocol.as_str())
    {
        extensions.insert(Protocol(protocol));
    }
    let served = serve::serve(site.clone(), client.clone(), request.map(ClientBody::Hyper));
    Then::new(served, move |mut response: Response<Outgoing>| {
        client.advertise(&site, response.headers_mut());
        // It is this request's: nothing was awaited since.
        if let (Some(stream), Some(tunnel)) = (stream, client.tunnel.take()) {
            tunnels.open(stream, *tunnel, (client, opening));
        }
        response
    })
}

/// The tunnels of a connection. Dropping it ends all of them.
#[derive(Debug, Default)]
struct Tunnels(RefCell<JoinSet<()>>);

impl Tunnels {
    /// Opens one on the stream that hyper hands on when the head of its answer is out.
    fn open(&self, stream: OnUpgrade, tunnel: Tunnel, (client, opening): (Rc<Client>, Opening)) {
        let sending = Rc::<OnceCell<AbortHandle>>::default();
        opening.0.set(Some(sending.clone()));
        let mut tunnels = self.0.borrow_mut();
        // Those that have ended.
        while tunnels.try_join_next().is_some() {}
        tunnels.spawn_local(async move {
            // Where there is none, the client has reset it meanwhile.
            if let Ok(stream) = stream.await {
                let stream =
                    OverHttp2 { stream: TokioIo::new(stream), sending, received: Received::Open, is_ended: false };
                tunnel.run(stream, &client.activity, Bytes::new()).await;
            }
        });
    }
}

/// Where the next task that hyper spawns is to be known: it is the one that sends what goes through a tunnel, and hyper spawns
/// it right after the service has granted one. If it spawns another one, because the client was faster, that is no harm.
#[derive(Clone, Default)]
struct Opening(Rc<Cell<Option<Rc<OnceCell<AbortHandle>>>>>);

/// A stream of HTTP/2 as a tunnel has it.
#[derive(Debug)]
struct OverHttp2 {
    stream: TokioIo<Upgraded>,
    sending: Rc<OnceCell<AbortHandle>>,
    received: Received,
    /// We have ended our half.
    is_ended: bool,
}

/// What the client's half has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Received {
    Open,
    /// It ends, or the client has reset the stream: hyper makes the same of both.
    Over,
    Ended,
}

impl OverHttp2 {
    /// Whether nobody sends any more, although we have not ended our half: the stream was reset.
    fn is_reset(&self) -> bool {
        !self.is_ended && self.sending.get().is_some_and(AbortHandle::is_finished)
    }
}

impl Abort for OverHttp2 {
    /// A stream that nobody sends on any more, and that was not ended, is reset (RFC 8441, section 5).
    fn abort(&self) {
        if let Some(sending) = self.sending.get() {
            sending.abort();
        }
    }
}

impl AsyncRead for OverHttp2 {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.received {
            Received::Open => {
                let filled = into.filled().len();
                ready!(Pin::new(&mut this.stream).poll_read(context, into))?;
                if into.filled().len() > filled || into.remaining() == 0 {
                    return Poll::Ready(Ok(()));
                }
                // Whoever sends hears of a reset at the same time, and is before us when we are woken again.
                this.received = Received::Over;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Received::Over if this.is_reset() => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Received::Over | Received::Ended => {
                this.received = Received::Ended;
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for OverHttp2 {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.is_ended = true;
        Pin::new(&mut this.stream).poll_shutdown(context)
    }
}

/// How long a client that is cut may take to be told why.
const GOAWAY_LIMIT: Duration = Duration::from_secs(1);

/// Runs what HTTP/2 spawns for its streams on the worker's own thread.
#[derive(Clone)]
struct LocalExecutor(Opening);

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, task: F) {
        // Boxed, because a task is moved five times until it stands where it stays, and once more when it ends.
        let task = tokio::task::spawn_local(InTurns::new(Box::pin(task)));
        if let Some(sending) = self.0.0.take() {
            let _ = sending.set(task.abort_handle());
        }
    }
}
