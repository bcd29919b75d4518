//! A server behind the host: it keeps what it was asked, and answers as the path or the test says.
//!
//! | path of an origin that echoes | answer |
//! |---|---|
//! | `/bytes/N`, `/chunked/N` | N bytes, their number announced or not |
//! | `/cut/N`, `/cut-chunked/N` | N bytes of twice as many, then the connection breaks |
//! | `/status/N` | that status, no body |
//! | `/trailers` | a chunked body and the trailer `x-sum: 42` |
//! | `/stream` | the request's body as it comes, and its trailers |
//! | `/hold` | nothing until [`Origin::release`] |
//! | `/hold-body/N`, `/hold-chunked/N` | N bytes of twice as many, the rest after [`Origin::release`] |
//! | any other | 200 with the request as JSON: `method`, `target`, `headers`, `body_bytes`, `body_sha256` |

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

mod answer;
mod seen;
mod serve;

pub use answer::Answer;
pub use seen::Seen;

use crate::certificate;
use answer::by_path;

/// A server behind the host. Dropping it closes its socket and its connections.
pub struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    answer: Box<dyn Fn(&Seen) -> Answer + Send + Sync>,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    accepted: AtomicUsize,
    released: watch::Sender<bool>,
}

impl Origin {
    /// Answers by path, see the module.
    #[must_use]
    pub fn echo() -> Self {
        Self::start(None, Box::new(by_path))
    }

    /// As [`Origin::echo`], over HTTP/2 from the first byte, with so many streams at a time on a connection.
    #[must_use]
    pub fn echo_over_http2(streams: u32) -> Self {
        Self::serving(Box::new(by_path), move |stream, shared| serve::serve_http2(stream, shared, streams))
    }

    /// As [`Origin::echo`], over TLS, with what of these protocols is agreed on: the first that the client offers, too.
    #[must_use]
    pub fn echo_by_alpn(protocols: &[&str]) -> Self {
        let tls = TlsAcceptor::from(certificate::server(protocols));
        Self::serving(Box::new(by_path), move |stream, shared| {
            let tls = tls.clone();
            async move {
                let Ok(stream) = tls.accept(stream).await else { return };
                match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => serve::serve_http2(stream, shared, STREAMS).await,
                    _ => serve::serve(stream, shared).await,
                }
            }
        })
    }

    /// As [`Origin::echo`], over TLS: for `www.example.test`, signed by the authority whose file is `ca.pem`.
    #[must_use]
    pub fn echo_over_tls() -> Self {
        Self::start(Some(TlsAcceptor::from(certificate::server(&[]))), Box::new(by_path))
    }

    /// Answers as it is told, once the whole request is there.
    pub fn answering(answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::start(None, Box::new(answer))
    }

    /// Answers each connection with these very bytes after the first head, and closes it.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::serving(Box::new(by_path), move |mut stream, shared| {
            let bytes = bytes.clone();
            async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.is_ok_and(|read| read > 0) {}
                shared.see(Seen::of_raw(&head));
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
            }
        })
    }

    fn start(tls: Option<TlsAcceptor>, answer: Box<dyn Fn(&Seen) -> Answer + Send + Sync>) -> Self {
        Self::serving(answer, move |stream, shared| {
            let tls = tls.clone();
            async move {
                match tls {
                    None => serve::serve(stream, shared).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            serve::serve(stream, shared).await;
                        }
                    }
                }
            }
        })
    }

    fn serving<F>(
        answer: Box<dyn Fn(&Seen) -> Answer + Send + Sync>,
        connection: impl Fn(TcpStream, Arc<Shared>) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let shared = Arc::new(Shared {
            answer,
            seen: Mutex::default(),
            connections: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
            released: watch::channel(false).0,
        });
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket for the origin");
        socket.set_nonblocking(true).expect("a socket that does not block");
        let address = socket.local_addr().expect("an address");
        let task = runtime().spawn(serve::accept(socket, shared.clone(), connection));
        Self { address, shared, task }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything that it was asked up to now, in the order of the heads.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The connections that it has now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The connections that it ever had.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Lets everything go on that is held, now and from now on.
    pub fn release(&self) {
        self.shared.released.send_replace(true);
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Origin").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn see(&self, seen: Seen) -> usize {
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(seen);
        all.len() - 1
    }

    fn update(&self, index: usize, seen: &Seen) {
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = all.get_mut(index) {
            place.clone_from(seen);
        }
    }

    async fn released(&self) {
        let _ = self.released.subscribe().wait_for(|released| *released).await;
    }
}

/// As many as nobody reaches.
const STREAMS: u32 = 250;

/// All origins live beside the tests' own runtimes, so that a test that computes does not stop them.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let built = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        built.expect("a runtime for origins")
    })
}
