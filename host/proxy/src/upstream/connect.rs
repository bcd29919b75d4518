//! A new connection to an endpoint: TCP, TLS where it is wanted, HTTP/1.1.

use std::io;
use std::rc::Rc;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use palisade_contract::UpstreamFault;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::error::RequestError;
use crate::upstream::pool::{OpenConnection, Up};
use crate::upstream::{Connection, Pool};

/// The largest head of an endpoint's answer, in bytes and in fields.
const HEAD_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 200;

/// Connects within the upstream's limits.
///
/// # Errors
/// What the client is answered with; already counted as the endpoint's failure.
pub(crate) async fn connect(pool: &Rc<Pool>) -> Result<Connection, RequestError> {
    let Some(open) = pool.open() else {
        pool.monitor.failed(UpstreamFault::Limit);
        return Err(RequestError::TooManyConnections);
    };
    let limit = pool.upstream.config.connect_timeout;
    let connected = tokio::time::timeout(limit, establish(pool, open)).await;
    let (fault, error) = match connected {
        Ok(Ok(connection)) => return Ok(connection),
        Ok(Err((fault, error))) => (fault, RequestError::Connection(error.to_string())),
        Err(_) => (UpstreamFault::ConnectTimeout, RequestError::ConnectTimeout),
    };
    pool.endpoint.failed();
    pool.monitor.failed(fault);
    Err(error)
}

async fn establish(pool: &Rc<Pool>, open: OpenConnection) -> Result<Connection, (UpstreamFault, io::Error)> {
    let connect = |error| (UpstreamFault::Connect, error);
    let stream = TcpStream::connect(pool.endpoint.address).await.map_err(connect)?;
    stream.set_nodelay(true).map_err(connect)?;
    match &pool.upstream.tls {
        None => speak(pool, stream, open).await,
        Some(tls) => {
            let stream = tls.connect(stream).await.map_err(|error| (UpstreamFault::Handshake, error))?;
            speak(pool, stream, open).await
        }
    }
}

async fn speak<S>(pool: &Rc<Pool>, stream: S, open: OpenConnection) -> Result<Connection, (UpstreamFault, io::Error)>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| (UpstreamFault::Protocol, io::Error::other(error)))?;
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
