//! Endpoints that speak as no server would, or faster than the harness's origins do.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A small answer, byte by byte.
pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// An endpoint that does this with each connection, for as long as the test's runtime lives.
pub(crate) async fn serving<F>(connection: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = socket.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            let _ = stream.set_nodelay(true);
            tokio::spawn(connection(stream));
        }
    });
    address
}

/// An endpoint that answers each request without a body with [`OK`], and keeps nothing.
pub(crate) async fn quick() -> SocketAddr {
    serving(|mut stream| async move {
        let mut bytes = Vec::new();
        while stream.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {
            if bytes.ends_with(b"\r\n\r\n") {
                bytes.clear();
                if stream.write_all(OK).await.is_err() {
                    return;
                }
            }
        }
    })
    .await
}
