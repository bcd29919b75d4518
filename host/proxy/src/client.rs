//! One client's connection, from the accepted socket to its end.

use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use palisade_contract::{Connection, ConnectionId, Refusal, Scheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::activity::{Activity, Verdict};
use crate::io::{Abort, Watched};
use crate::linger::{close_well, linger};
use crate::serve::{Client, serve};
use crate::site::{Listening, Site};

/// Streams that a client may reset before we accepted them, and those that we may reset for its errors, before the
/// connection is closed (CVE-2023-44487, CVE-2025-8671).
const RESETS_MAX: usize = 20;
const LOCAL_RESETS_MAX: usize = 100;

/// Flow-control windows of HTTP/2: what one stream, and one connection, may have in memory here.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
const SEND_BUFFER_BYTES_MAX: usize = 256 << 10;

/// Serves one connection to its end, and says how it ended if that was our doing.
pub(crate) async fn run(listening: Rc<Listening>, stream: TcpStream, drain: watch::Receiver<bool>) {
    let monitor = listening.site().monitor.clone();
    let refused = match begin(&listening, stream).await {
        Ok(Some((connection, Stream::Clear(stream)))) => {
            serve_http(&listening, connection, stream, Speaks::Http1, drain).await
        }
        Ok(Some((connection, Stream::Tls(stream, speaks)))) => {
            serve_http(&listening, connection, *stream, speaks, drain).await
        }
        Ok(None) => return,
        Err(why) => Err(why),
    };
    if let Err(why) = refused {
        monitor.connection_refused(why);
    }
}

/// A connection on which HTTP can be spoken.
enum Stream {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>, Speaks),
}

#[derive(Debug, Clone, Copy)]
enum Speaks {
    Http1,
    Http2,
}

/// Asks the listener's connection filters and does TLS, both by the plan of the moment; none where the client is gone.
async fn begin(listening: &Listening, stream: TcpStream) -> Result<Option<(Connection, Stream)>, Refusal> {
    let site = listening.site();
    let Some(connection) = describe(&site, &stream) else { return Ok(None) };
    if !site.chain.admits(&connection) {
        return Err(Refusal::Plugin);
    }
    let stream = match &site.tls {
        None => Stream::Clear(stream),
        Some(tls) => shake_hands(&site, &connection, stream, tls.clone().into()).await?,
    };
    Ok(Some((connection, stream)))
}

fn describe(site: &Site, stream: &TcpStream) -> Option<Connection> {
    // Without these the client is gone already.
    let (client, local) = (stream.peer_addr().ok()?, stream.local_addr().ok()?);
    // A failure costs latency, not correctness.
    let _ = stream.set_nodelay(true);
    let scheme = if site.tls.is_some() { Scheme::Https } else { Scheme::Http };
    Some(Connection { id: ConnectionId(site.worker.number()), client, local, listener: site.name, scheme })
}

async fn shake_hands(
    site: &Site,
    connection: &Connection,
    stream: TcpStream,
    acceptor: TlsAcceptor,
) -> Result<Stream, Refusal> {
    let handshake = tokio::time::timeout(site.config.limits.handshake_timeout, acceptor.accept(stream));
    let stream = match handshake.await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(client = %connection.client, %error, "a TLS handshake failed");
            return Err(Refusal::Handshake);
        }
        Err(_) => return Err(Refusal::HandshakeTimeout),
    };
    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    // A client that negotiates nothing speaks HTTP/1, which not every listener does.
    if !is_h2 && !site.config.http.h1 {
        return Err(Refusal::Protocol);
    }
    Ok(Stream::Tls(Box::new(stream), if is_h2 { Speaks::Http2 } else { Speaks::Http1 }))
}

async fn serve_http<S>(
    listening: &Rc<Listening>,
    connection: Connection,
    stream: S,
    speaks: Speaks,
    drain: watch::Receiver<bool>,
) -> Result<(), Refusal>
where
    S: AsyncRead + AsyncWrite + Abort + Unpin + 'static,
{
    let activity = Activity::new();
    let client = Rc::new(Client::new(connection, activity.clone()));
    let service = {
        let (listening, client) = (listening.clone(), client.clone());
        service_fn(move |request| serve(listening.site(), client.clone(), request))
    };
    // What HTTP itself is limited to stays as it was when the connection began.
    let limits = listening.site().config.limits;
    match speaks {
        Speaks::Http1 => {
            let stream = Watched::new(stream, activity.clone());
            let mut served = http1::Builder::new()
                .max_headers(limits.headers)
                .max_buf_size(limits.header_bytes.max(SMALLEST_BUFFER))
                // The activity's timer keeps both limits on heads; two timers would be one too many.
                .header_read_timeout(None)
                .serve_connection(TokioIo::new(stream.clone()), service);
            let close = http1::Connection::graceful_shutdown;
            let ended = drive(listening, &activity, Pin::new(&mut served), close, drain).await;
            if let (Ok(()), Some(tunnel)) = (ended, client.tunnel.take()) {
                tunnel.run(stream, &activity, served.into_parts().read_buf).await;
                return Ok(());
            }
            if activity.must_not_end_well() {
                // RFC 9112, section 8.
                stream.abort();
            } else if ended == Err(Refusal::Protocol) || (ended.is_ok() && activity.has_unread()) {
                linger(stream).await;
            } else if ended.is_ok() && client.upgrade_offered.get() {
                close_well(stream).await;
            }
            ended
        }
        // Not every byte of HTTP/2 belongs to a head: a stream of its own is not watched for when one began, and a head
        // that does not end is bounded by the idle limit.
        Speaks::Http2 => {
            let served = pin!(
                http2::Builder::new(LocalExecutor)
                    .timer(TokioTimer::new())
                    .max_concurrent_streams(limits.streams)
                    .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
                    .max_pending_accept_reset_streams(RESETS_MAX)
                    .max_local_error_reset_streams(LOCAL_RESETS_MAX)
                    .initial_stream_window_size(STREAM_WINDOW_BYTES)
                    .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                    .max_send_buf_size(SEND_BUFFER_BYTES_MAX)
                    .serve_connection(TokioIo::new(stream), service)
            );
            drive(listening, &activity, served, http2::Connection::graceful_shutdown, drain).await
        }
    }
}

/// The least that hyper takes for its read buffer.
const SMALLEST_BUFFER: usize = 8 << 10;

/// Polls a connection to its end, ending it in good order when it is idle or the host drains, and cutting it when the
/// client keeps it waiting.
async fn drive<C>(
    listening: &Listening,
    activity: &Activity,
    mut served: Pin<&mut C>,
    close: impl Fn(Pin<&mut C>),
    mut drain: watch::Receiver<bool>,
) -> Result<(), Refusal>
where
    C: Future<Output = hyper::Result<()>>,
{
    // Looks at once, and then whenever a limit could have passed.
    let mut timer = pin!(tokio::time::sleep(Duration::ZERO));
    let mut closing = false;
    loop {
        tokio::select! {
            biased;
            ended = &mut served => return ended.or_else(|error| judge(&error)),
            () = &mut timer => match verdict(activity, &listening.site()) {
                Verdict::Wait(until) => timer.as_mut().reset(until),
                Verdict::Cut(why) => return Err(why),
                Verdict::Idle if closing => return Ok(()),
                Verdict::Idle => {
                    closing = true;
                    close(served.as_mut());
                    // A client that is still there answers at once, and one that is not must not stay much longer.
                    timer.as_mut().reset(Instant::now() + listening.site().config.limits.idle_timeout / 10);
                }
            },
            _ = drain.wait_for(|drain| *drain), if !closing => {
                closing = true;
                close(served.as_mut());
            }
        }
    }
}

fn verdict(activity: &Activity, site: &Site) -> Verdict {
    activity.verdict(&site.config.limits, site.patience_min, Instant::now())
}

/// Whether the end of a connection is worth counting: clients that leave are not.
fn judge(error: &hyper::Error) -> Result<(), Refusal> {
    tracing::debug!(%error, "a client's connection ended");
    if error.is_parse() || error.is_parse_too_large() { Err(Refusal::Protocol) } else { Ok(()) }
}

/// Runs what HTTP/2 spawns for its streams on the worker's own thread.
#[derive(Debug, Clone, Copy)]
struct LocalExecutor;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(async move {
            task.await;
        });
    }
}
