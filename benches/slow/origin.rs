//! An origin on a thread of its own: 1 KiB once a request is there, or for `/big` 5 MB, which slow clients do not read.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Response;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

static SMALL: [u8; 1_024] = [b'x'; 1_024];
static BIG: [u8; 5_000_000] = [b'x'; 5_000_000];

/// The path of what is big.
pub(crate) const BIG_PATH: &str = "/big";

/// Starts one, for as long as this process lives.
///
/// # Errors
/// It cannot listen, or there is no thread for it.
pub(crate) fn start() -> Result<SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("the origin cannot listen")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    std::thread::Builder::new().name("origin".into()).spawn(move || runtime.block_on(accept(listener)))?;
    Ok(address)
}

async fn accept(listener: std::net::TcpListener) -> Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(serve(stream));
    }
}

async fn serve(stream: TcpStream) {
    let answer = service_fn(async |request: hyper::Request<hyper::body::Incoming>| {
        let body: &'static [u8] = if request.uri().path() == BIG_PATH { &BIG } else { &SMALL };
        // One that breaks off is answered as well: nobody is there to be told.
        let _ = request.into_body().collect().await;
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(body))))
    });
    // A host that leaves is no reason to say anything.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}
