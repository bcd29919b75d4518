//! A new connection to an endpoint: TCP, TLS where it is wanted, and the protocol that is spoken within.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use http::uri::Scheme;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use palisade_config::UpstreamProtocol;
use palisade_contract::{CircuitRefusal, UpstreamFault, UpstreamMonitor};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::error::RequestError;
use crate::io::Socket;
use crate::proxy_protocol::{self, Ends};
use crate::upstream::pool::Purpose;
use crate::upstream::shared::Shared;
use crate::upstream::up::{OpenConnection, Up};
use crate::upstream::{Connection, Pool};

/// The largest head of an endpoint's answer, in bytes and in fields.
pub(super) const HEAD_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 200;

/// What a new connection is wanted for, and by whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) purpose: Purpose,
    /// The client whose request it is for; none for the host's own.
    pub(crate) client: Option<Ends>,
}

impl Wanted {
    /// For a request of this client's.
    pub(crate) fn by(purpose: Purpose, client: &palisade_contract::Connection) -> Self {
        Self { purpose, client: Some(Ends { source: client.client, destination: client.local }) }
    }

    /// For a request of the host's own.
    pub(crate) fn by_host() -> Self {
        Self { purpose: Purpose::Exchange, client: None }
    }
}

/// What went wrong, and what the client is told.
pub(super) type Failed = (UpstreamFault, RequestError);

/// Connects within the upstream's limits, or finds room on a connection that somebody else has just made or does not need
/// any more. Where the endpoint has as many connections as it may, it waits for that, if its upstream has it so.
///
/// # Errors
/// What the client is answered with; already counted as the endpoint's failure.
///
/// Most requests need none of this, so its future is kept out of theirs, which are moved about.
pub(crate) fn connect<'a>(
    pool: &'a Rc<Pool>,
    wanted: Wanted,
    monitor: &'a dyn UpstreamMonitor,
) -> Pin<Box<dyn Future<Output = Result<Connection, RequestError>> + 'a>> {
    Box::pin(connect_or_wait(pool, wanted, monitor))
}

async fn connect_or_wait(
    pool: &Rc<Pool>,
    wanted: Wanted,
    monitor: &dyn UpstreamMonitor,
) -> Result<Connection, RequestError> {
    let Some(circuit) = pool.upstream.line() else { return connect_at_once(pool, wanted).await };
    if !pool.is_waited_for(wanted.purpose) {
        match connect_at_once(pool, wanted).await {
            Err(RequestError::TooManyConnections) => {}
            connected => return connected,
        }
    }
    let refused = |why: CircuitRefusal| {
        pool.monitor.failed(UpstreamFault::Limit);
        monitor.circuit_refused(why);
        refusal(why)
    };
    let _place = circuit.pend().map_err(refused)?;
    let waited = tokio::time::timeout(circuit.pending_timeout(), in_line(pool, wanted)).await;
    waited.unwrap_or_else(|_| Err(refused(CircuitRefusal::PendingTimeout)))
}

/// What a request that is not let through is told.
pub(super) fn refusal(why: CircuitRefusal) -> RequestError {
    RequestError::Circuit(match why {
        CircuitRefusal::Requests => "as many requests are under way as may be",
        CircuitRefusal::Pending => "as many requests wait for a connection as may",
        CircuitRefusal::PendingTimeout => "no connection was free in time",
        CircuitRefusal::Open => "too many requests have failed",
    })
}

/// Waits behind those who came before.
async fn in_line(pool: &Rc<Pool>, wanted: Wanted) -> Result<Connection, RequestError> {
    let waiting = pool.wait(wanted.purpose);
    loop {
        waiting.room().await;
        if let Some(connection) = pool.take(wanted.purpose) {
            return Ok(connection);
        }
        match connect_at_once(pool, wanted).await {
            Err(RequestError::TooManyConnections) => {}
            connected => return connected,
        }
    }
}

/// Connects, or says that there are as many connections as there may be.
async fn connect_at_once(pool: &Rc<Pool>, wanted: Wanted) -> Result<Connection, RequestError> {
    in_time(pool, in_turn(pool, wanted)).await
}

/// A new connection, whatever there is already.
///
/// # Errors
/// Why there is none; already counted as the endpoint's failure.
pub(super) async fn connect_anew(pool: &Rc<Pool>) -> Result<Connection, RequestError> {
    in_time(pool, establish(pool, Wanted::by_host())).await
}

async fn in_time(
    pool: &Pool,
    connected: impl Future<Output = Result<Connection, Failed>>,
) -> Result<Connection, RequestError> {
    let connected = tokio::time::timeout(pool.upstream.config.connect_timeout, connected).await;
    let connected = connected.unwrap_or_else(|_| Err((UpstreamFault::ConnectTimeout, RequestError::ConnectTimeout)));
    connected.map_err(|failed| match failed {
        // Who waits then has not failed yet.
        (UpstreamFault::Limit, error) if pool.upstream.line().is_some() => error,
        failed => counted(pool, failed),
    })
}

/// Counts it as the endpoint's failure.
pub(super) fn counted(pool: &Pool, (fault, error): Failed) -> RequestError {
    // Having enough is not a failure of the endpoint.
    if fault != UpstreamFault::Limit {
        pool.endpoint.failed(fault);
    }
    pool.monitor.failed(fault);
    error
}

/// Where connections are shared they are made one after the other: each may be enough for all who wait.
async fn in_turn(pool: &Rc<Pool>, wanted: Wanted) -> Result<Connection, Failed> {
    let purpose = wanted.purpose;
    let Some(turn) = pool.turn(purpose) else { return establish(pool, wanted).await };
    let mine = turn.acquire().await;
    if let Some(connection) = pool.take(purpose) {
        return Ok(connection);
    }
    if pool.turn(purpose).is_none() {
        // The one before has found that none is shared.
        drop(mine);
    }
    establish(pool, wanted).await
}

async fn establish(pool: &Rc<Pool>, wanted: Wanted) -> Result<Connection, Failed> {
    let purpose = wanted.purpose;
    let Some(open) = pool.open() else { return Err((UpstreamFault::Limit, RequestError::TooManyConnections)) };
    let failed = |fault| move |error: io::Error| (fault, RequestError::Connection(error.to_string()));
    let stream = tcp(pool, wanted.client).await.map_err(failed(UpstreamFault::Connect))?;
    let Some(tls) = &pool.upstream.tls else {
        return match pool.upstream.config.protocol {
            UpstreamProtocol::Http2 => http2((pool, open), stream, Scheme::HTTP).await,
            // What is agreed on within TLS is not agreed on without it.
            UpstreamProtocol::Http1 | UpstreamProtocol::Auto => http1((pool, open), stream).await,
        }
        .map_err(failed(UpstreamFault::Protocol));
    };
    let stream = tls.connect(stream, purpose).await.map_err(failed(UpstreamFault::Handshake))?;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    if purpose == Purpose::Exchange {
        pool.speaks_http2(is_http2);
    }
    match (is_http2, pool.upstream.config.protocol) {
        (true, _) => http2((pool, open), stream, Scheme::HTTPS).await,
        (false, UpstreamProtocol::Http1 | UpstreamProtocol::Auto) => http1((pool, open), stream).await,
        (false, UpstreamProtocol::Http2) => return Err(failed(UpstreamFault::Handshake)(io::Error::other(NO_HTTP2))),
    }
    .map_err(failed(UpstreamFault::Protocol))
}

const NO_HTTP2: &str = "the endpoint has not agreed to speak HTTP/2 (ALPN \"h2\")";

pub(super) async fn tcp(pool: &Pool, client: Option<Ends>) -> io::Result<Socket> {
    let mut stream = Socket::from(TcpStream::connect(pool.endpoint.address).await?);
    stream.set_nodelay(true)?;
    // A stream may be silent for as long as its route allows, and its endpoint's machine be gone meanwhile. HTTP/2 has a ping of
    // its own, which gRPC servers take for abuse when it comes as often as this.
    SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(SILENCE).with_interval(SILENCE / 4))?;
    if let Some(version) = pool.upstream.config.proxy_protocol {
        stream.write_all(&proxy_protocol::header(version, client)).await?;
    }
    Ok(stream)
}

/// After which the kernel asks whether the other machine is still there.
const SILENCE: Duration = Duration::from_secs(60);

async fn http2<S>((pool, open): (&Rc<Pool>, OpenConnection), stream: S, scheme: Scheme) -> io::Result<Connection>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let up = Up::new(open);
    let shared = Shared::begin(stream, &up, scheme, (pool.streams(), pool.upstream.config.streams)).await;
    let shared = shared.map_err(io::Error::other)?;
    pool.lend_shared(shared).ok_or_else(|| io::ErrorKind::ConnectionReset.into())
}

async fn http1<S>((pool, open): (&Rc<Pool>, OpenConnection), stream: S) -> io::Result<Connection>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let up = Up::new(open);
    // Ends when the endpoint closes or grants an upgrade, when an idle sender is dropped, and with an exchange that does
    // not give it back.
    let until_the_end = up.clone();
    let task = tokio::task::spawn_local(async move {
        let _until_the_end = until_the_end;
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection to an endpoint ended");
        }
    });
    Ok(pool.lend(sender, task.abort_handle(), up))
}
