//! Endpoints that speak as no server would, or faster than the harness's origins do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

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

/// An endpoint that answers with as many bytes as the path says, as fast as they are taken; the count of those that were.
pub(crate) async fn flood() -> (SocketAddr, Arc<AtomicU64>) {
    let taken = Arc::new(AtomicU64::new(0));
    let counted = taken.clone();
    let address = serving(move |mut stream| {
        let taken = counted.clone();
        async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.is_ok_and(|read| read > 0) {}
            let path = String::from_utf8_lossy(&head).split(' ').nth(1).unwrap_or_default().to_owned();
            let bytes: usize = path.trim_start_matches('/').parse().unwrap_or_default();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
            let piece = vec![7; PIECE_BYTES];
            let mut rest = bytes;
            while let Some(piece) = piece.get(..rest.min(PIECE_BYTES)).filter(|piece| !piece.is_empty()) {
                let Ok(written) = stream.write(piece).await else { return };
                taken.fetch_add(written as u64, Ordering::Relaxed);
                rest -= written;
            }
            // The client closes first.
            let _ = stream.read(&mut [0]).await;
        }
    })
    .await;
    (address, taken)
}

/// An endpoint that takes a body whose length is announced, once the sender is true, and answers with [`OK`].
pub(crate) async fn sink(open: watch::Receiver<bool>) -> SocketAddr {
    serving(move |mut stream| {
        let mut open = open.clone();
        async move {
            let mut head = Vec::new();
            // Byte by byte, so that nothing of the body is taken.
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { return };
                head.push(byte);
            }
            let _ = open.wait_for(|open| *open).await;
            let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
            let length = text.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
            let mut rest: usize = length.unwrap_or_default();
            let mut piece = vec![0; PIECE_BYTES];
            while rest > 0 {
                match stream.read(&mut piece).await {
                    Ok(read) if read > 0 => rest -= read,
                    _ => return,
                }
            }
            let _ = stream.write_all(OK).await;
        }
    })
    .await
}

const PIECE_BYTES: usize = 256 << 10;
