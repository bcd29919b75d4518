//! An origin on a thread of its own: as many bytes as the path's last word says, again and again.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use crate::Precedence;

/// What an origin keeps in the kernel for a proxy that does not read, where that is bounded.
const SEND_BUFFER_BYTES: usize = 64 << 10;

/// The largest answer.
const BYTES_MAX: usize = 10 << 20;

static BODY: [u8; BYTES_MAX] = [b'x'; BYTES_MAX];

/// Starts one, for as long as this process lives.
///
/// # Errors
/// It cannot listen, or there is no thread for it.
pub fn start() -> Result<SocketAddr> {
    start_with(None, None)
}

/// As [`start`], one that works before everything else on its core.
///
/// # Errors
/// Those of [`start`].
pub fn start_before_others() -> Result<SocketAddr> {
    start_with(Some(Precedence::First), None)
}

/// As [`start`], one that works when nobody else wants its core, and keeps little in the kernel for those who do not read: it stands for one on
/// another machine, and is not what others wait for.
///
/// # Errors
/// Those of [`start`].
pub fn start_behind_others() -> Result<SocketAddr> {
    start_with(Some(Precedence::Last), Some(SEND_BUFFER_BYTES))
}

fn start_with(precedence: Option<Precedence>, send_buffer_bytes: Option<usize>) -> Result<SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("the origin cannot listen")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let serve = move || {
        let ended = precedence.map_or(Ok(()), Precedence::take);
        let ended = ended.and_then(|()| runtime.block_on(accept(listener, send_buffer_bytes)));
        if let Err(error) = ended {
            eprintln!("an origin has ended: {error:#}");
        }
    };
    std::thread::Builder::new().name("origin".into()).spawn(serve)?;
    Ok(address)
}

async fn accept(listener: std::net::TcpListener, send_buffer_bytes: Option<usize>) -> Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        if let Some(bytes) = send_buffer_bytes {
            SockRef::from(&stream).set_send_buffer_size(bytes)?;
        }
        tokio::spawn(serve(stream));
    }
}

async fn serve(stream: TcpStream) {
    let answer = service_fn(async |request: Request<Incoming>| {
        let bytes = request.uri().path().rsplit('/').next().and_then(|word| word.parse().ok()).unwrap_or(1_024);
        let body = BODY.get(..bytes).unwrap_or_default();
        // An upload is read to its end.
        let mut upload = request.into_body();
        while let Some(Ok(_)) = upload.frame().await {}
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(body))))
    });
    // A proxy that leaves is no reason to say anything.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}
