//! Origins for counting: threads that answer every request with the same bytes, at once and in one write.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use anyhow::{Context, Result};

/// Bytes of a body.
const BODY_BYTES: usize = 1_024;

/// More of a request than this is none of ours.
const REQUEST_BYTES_MAX: usize = 64 << 10;

/// Starts one for as long as this process lives. Its requests have no bodies.
///
/// # Errors
/// It cannot listen.
pub(crate) fn start() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("the origin cannot listen")?;
    let address = listener.local_addr()?;
    thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(thread::spawn(|| serve(stream)))));
    Ok(address)
}

/// Until the other side has gone, which is no reason to say anything.
fn serve(mut stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ndate: Sat, 28 Nov 2026 08:00:00 GMT\r\n";
    let answer = format!("{head}content-length: {BODY_BYTES}\r\n\r\n{}", "x".repeat(BODY_BYTES));
    let (mut request, mut piece) = (Vec::new(), [0; 4_096]);
    while request.len() <= REQUEST_BYTES_MAX {
        let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
        request.extend(piece.iter().take(count));
        if request.ends_with(b"\r\n\r\n") {
            request.clear();
            stream.write_all(answer.as_bytes()).ok()?;
        }
    }
    None
}
