//! An endpoint that answers an upgrade with any bytes, keeps what it was sent, and then says everything back.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::endpoint::serving;

/// The handshake of a client, for the path `/`.
pub(super) const ASK: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                              sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// The answer that grants it.
pub(crate) const GRANT: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                                sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// The answer that grants it to whoever asks with any key.
pub(crate) const GRANT_OF_KEY: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                                       sec-websocket-accept: {accept}\r\n\r\n";

/// The endpoint.
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<u8>>>,
    open: watch::Sender<usize>,
}

impl Endpoint {
    /// Answers every head with these bytes, in which `{accept}` stands for what the head's key asks for.
    pub(crate) async fn answering(answer: &str) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let open = watch::Sender::new(0);
        let address = serving({
            let (answer, seen, open) = (answer.to_owned(), seen.clone(), open.clone());
            move |mut stream| {
                let (answer, seen, open) = (answer.clone(), seen.clone(), Open::new(&open));
                async move {
                    let _open = open;
                    while let Some(head) = head(&mut stream).await {
                        keep(&seen, &head);
                        let switches = answer.starts_with("HTTP/1.1 101") && has(&head, "\r\nupgrade: ");
                        if stream.write_all(answer.replace("{accept}", &accept(&head)).as_bytes()).await.is_err() {
                            return;
                        }
                        if switches {
                            return echo(stream, &seen).await;
                        }
                    }
                }
            }
        })
        .await;
        Self { address, seen, open }
    }

    /// Everything that it was ever sent.
    pub(crate) fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Waits until it has no connection.
    pub(crate) async fn closed(&self) {
        let closed = self.open.subscribe();
        let mut closed = closed;
        let waited = tokio::time::timeout(harness::LIMIT, closed.wait_for(|open| *open == 0)).await;
        waited.expect("the endpoint's connection is closed").expect("a sender");
    }
}

/// Counts one connection.
struct Open(watch::Sender<usize>);

impl Open {
    fn new(open: &watch::Sender<usize>) -> Self {
        open.send_modify(|open| *open += 1);
        Self(open.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

fn keep(seen: &Mutex<Vec<u8>>, bytes: &[u8]) {
    seen.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
}

fn has(head: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(head).to_ascii_lowercase().contains(text)
}

/// What the key of a head asks for (RFC 6455, section 4.2.2).
fn accept(head: &[u8]) -> String {
    let head = String::from_utf8_lossy(head).into_owned();
    let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap_or_default();
    derive_accept_key(key.as_bytes())
}

/// A head and nothing after it.
async fn head(stream: &mut tokio::net::TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(head)
}

async fn echo(mut stream: tokio::net::TcpStream, seen: &Mutex<Vec<u8>>) {
    let mut piece = vec![0; 64 << 10];
    while let Ok(read) = stream.read(&mut piece).await {
        let Some(read) = piece.get(..read).filter(|read| !read.is_empty()) else { return };
        keep(seen, read);
        if stream.write_all(read).await.is_err() {
            return;
        }
    }
}
