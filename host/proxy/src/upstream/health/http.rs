//! A check over HTTP: a request of the host's own, on a connection of its own; a good answer or not.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::pin::pin;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use memchr::memmem;
use palisade_config::UpstreamProtocol;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::upstream::Upstream;

/// What of a body is looked at.
const BODY_BYTES_MAX: usize = 64 << 10;

/// What is asked for, and what a good answer is.
#[derive(Debug, Default)]
pub(super) struct Wanted<'a> {
    pub(super) path: &'a str,
    pub(super) host: Option<&'a str>,
    pub(super) statuses: &'a [RangeInclusive<u16>],
    pub(super) body: Option<&'a str>,
}

/// Asks over this stream, in the protocol that is agreed on within TLS, or else in the upstream's.
///
/// # Errors
/// What is wrong with the answer, or why there is none.
pub(super) async fn ask<S>(
    (upstream, address): (&Upstream, SocketAddr),
    stream: S,
    wanted: &Wanted<'_>,
    alpn: Option<&[u8]>,
) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let is_http2 = match &upstream.tls {
        Some(_) => alpn == Some(b"h2"),
        None => upstream.config.protocol == UpstreamProtocol::Http2,
    };
    let host = wanted.host.map_or_else(|| address.to_string(), str::to_owned);
    let scheme = if upstream.tls.is_some() { "https" } else { "http" };
    let request =
        Request::get(if is_http2 { format!("{scheme}://{host}{}", wanted.path) } else { wanted.path.to_owned() })
            .header(header::USER_AGENT, "palisade-health")
            .header(header::ACCEPT, "*/*");
    let request =
        if is_http2 { request } else { request.header(header::HOST, host).header(header::CONNECTION, "close") };
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| format!("it cannot be asked this: {error}"))?;
    let io = TokioIo::new(stream);
    if is_http2 {
        let (mut sender, connection) =
            http2::handshake(TokioExecutor::new(), io).await.map_err(|error| no_answer(&error))?;
        let asked = async { judged(sender.send_request(request).await, wanted).await };
        return beside(connection, asked).await;
    }
    let (mut sender, connection) = http1::handshake(io).await.map_err(|error| no_answer(&error))?;
    let asked = async { judged(sender.send_request(request).await, wanted).await };
    beside(connection, asked).await
}

/// The answer, while the connection is looked after. It ends with the answer.
async fn beside<C, A, T>(connection: C, asked: A) -> T
where
    C: Future<Output = hyper::Result<()>>,
    A: Future<Output = T>,
{
    let (mut connection, mut asked) = (pin!(connection), pin!(asked));
    tokio::select! {
        biased;
        answer = &mut asked => answer,
        // Whoever asked is told by the sender.
        _ = &mut connection => asked.await,
    }
}

async fn judged(answer: hyper::Result<Response<Incoming>>, wanted: &Wanted<'_>) -> Result<(), String> {
    let (parts, mut incoming) = answer.map_err(|error| no_answer(&error))?.into_parts();
    let status = parts.status.as_u16();
    if !wanted.statuses.iter().any(|statuses| statuses.contains(&status)) {
        return Err(format!("it answers {status}"));
    }
    let Some(part) = wanted.body else { return Ok(()) };
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| format!("its answer broke off: {error}"))?;
        let Ok(data) = frame.into_data() else { continue };
        body.extend_from_slice(data.get(..(BODY_BYTES_MAX - body.len()).min(data.len())).unwrap_or_default());
        if memmem::find(&body, part.as_bytes()).is_some() {
            return Ok(());
        }
        if body.len() >= BODY_BYTES_MAX {
            break;
        }
    }
    Err(format!("its answer has no {part:?} in it"))
}

fn no_answer(error: &hyper::Error) -> String {
    format!("no answer: {error}")
}
