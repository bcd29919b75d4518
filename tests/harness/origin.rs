//! A server behind the host: it keeps what it was asked, and answers as the path or the test says.
//!
//! | path of an origin that echoes | answer |
//! |---|---|
//! | `/bytes/N`, `/chunked/N` | N bytes, their number announced or not |
//! | `/cut/N`, `/cut-chunked/N` | N bytes of twice as many, then the connection breaks |
//! | `/status/N` | that status, no body |
//! | `/trailers` | a chunked body and the trailer `x-sum: 42` |
//! | `/stream` | the request's body as it comes |
//! | `/hold` | nothing until [`Origin::release`] |
//! | `/hold-body/N` | N bytes of twice as many, the rest after [`Origin::release`] |
//! | any other | 200 with the request as JSON: `method`, `target`, `headers`, `body_bytes`, `body_sha256` |

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::{Body, certificate, pattern};

/// A server behind the host. Dropping it closes its socket and its connections.
pub struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// What an origin was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The method's text.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// As they came.
    pub headers: HeaderMap,
    /// How long the body was; none while it is still coming, and where it broke off.
    pub body_bytes: Option<u64>,
    /// The SHA-256 of the body, in hexadecimal; empty as long as there is no `body_bytes`.
    pub body_sha256: String,
    /// What came after the body.
    pub trailers: HeaderMap,
}

/// What an origin answers.
#[derive(Debug, Clone)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    trailers: Vec<(String, String)>,
    body: Content,
    held: bool,
}

#[derive(Debug, Clone)]
enum Content {
    Whole(Bytes),
    Pattern { bytes: u64, announced: bool, until: Option<Until> },
    Echo,
}

/// What happens half way.
#[derive(Debug, Clone, Copy)]
enum Until {
    Cut,
    Held,
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

    /// As [`Origin::echo`], over TLS: for `www.example.test`, signed by the authority whose file is `ca.pem`.
    #[must_use]
    pub fn echo_over_tls() -> Self {
        Self::start(Some(TlsAcceptor::from(certificate::server())), Box::new(by_path))
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
                    None => serve(stream, shared).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            serve(stream, shared).await;
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
        let task = runtime().spawn(accept(socket, shared.clone(), connection));
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

impl Seen {
    fn of(request: &http::request::Parts) -> Self {
        Self {
            method: request.method.to_string(),
            target: request.uri.to_string(),
            headers: request.headers.clone(),
            body_bytes: None,
            body_sha256: String::new(),
            trailers: HeaderMap::new(),
        }
    }

    fn of_raw(head: &[u8]) -> Self {
        let mut words = head.split(|byte| *byte == b' ').map(|word| String::from_utf8_lossy(word).into_owned());
        Self {
            method: words.next().unwrap_or_default(),
            target: words.next().unwrap_or_default(),
            headers: HeaderMap::new(),
            body_bytes: None,
            body_sha256: String::new(),
            trailers: HeaderMap::new(),
        }
    }

    /// All values of a header, in order.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("not ASCII")).collect()
    }
}

impl Answer {
    /// This status, without a body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        let body = Content::Whole(Bytes::new());
        Self { status, headers: Vec::new(), trailers: Vec::new(), body, held: false }
    }

    /// 200 with this body.
    pub fn body(body: impl Into<Bytes>) -> Self {
        Self { body: Content::Whole(body.into()), ..Self::status(200) }
    }

    /// 200 with as many bytes of the pattern.
    fn pattern(bytes: u64, announced: bool, until: Option<Until>) -> Self {
        Self { body: Content::Pattern { bytes, announced, until }, ..Self::status(200) }
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With one more trailer, after a chunked body.
    #[must_use]
    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.into(), value.into()));
        self.header("trailer", name)
    }

    /// Not before [`Origin::release`].
    #[must_use]
    pub fn held(mut self) -> Self {
        self.held = true;
        self
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

async fn accept<F>(socket: std::net::TcpListener, shared: Arc<Shared>, connection: impl Fn(TcpStream, Arc<Shared>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let socket = TcpListener::from_std(socket).expect("a socket of this runtime");
    // Dropped with the task, and every connection with it.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = socket.accept().await {
        let _ = stream.set_nodelay(true);
        let open = Open::new(&shared);
        let connection = connection(stream, shared.clone());
        connections.spawn(async move {
            connection.await;
            drop(open);
        });
    }
}

/// Counts one connection for as long as it is open.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        Self(shared.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let service = service_fn(|request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(answer(&shared, request).await) }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let mut seen = Seen::of(&parts);
    let index = shared.see(seen.clone());
    if parts.uri.path() == "/stream" {
        let (feed, echoed) = Body::fed(None);
        tokio::spawn(echo(body, feed));
        return response(&Answer { body: Content::Echo, ..Answer::status(200) }, echoed);
    }
    if read(body, &mut seen).await.is_ok() {
        shared.update(index, &seen);
    }
    let answer = (shared.answer)(&seen);
    if answer.held {
        shared.released().await;
    }
    let body = match &answer.body {
        Content::Whole(bytes) if answer.trailers.is_empty() => Body::from(bytes.clone()),
        Content::Pattern { bytes, announced, .. } => {
            let (feed, body) = Body::fed(announced.then_some(*bytes));
            tokio::spawn(feed_answer(answer.clone(), feed, shared.clone()));
            body
        }
        Content::Whole(_) | Content::Echo => {
            let (feed, body) = Body::fed(None);
            tokio::spawn(feed_answer(answer.clone(), feed, shared.clone()));
            body
        }
    };
    response(&answer, body)
}

async fn read(mut body: Incoming, seen: &mut Seen) -> hyper::Result<()> {
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) => {
                hash.update(&data);
                bytes += data.len() as u64;
            }
            Err(frame) => seen.trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    seen.body_bytes = Some(bytes);
    seen.body_sha256 = pattern::hex(hash);
    Ok(())
}

async fn echo(mut body: Incoming, feed: crate::Feed) {
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return feed.cut().await };
        let Ok(data) = frame.into_data() else { return };
        if !feed.send(data).await {
            return;
        }
    }
}

async fn feed_answer(answer: Answer, feed: crate::Feed, shared: Arc<Shared>) {
    let (bytes, until) = match &answer.body {
        Content::Whole(whole) => {
            feed.send(whole.clone()).await;
            (0, None)
        }
        Content::Pattern { bytes, until, .. } => (*bytes, *until),
        Content::Echo => (0, None),
    };
    let mut sent = 0;
    while sent < bytes {
        let end = if until.is_some() && sent < bytes / 2 { bytes / 2 } else { bytes };
        let piece = pattern::piece(sent, end - sent);
        sent += piece.len() as u64;
        if !feed.send(piece).await {
            return;
        }
        match until {
            Some(Until::Cut) if sent == bytes / 2 => return feed.cut().await,
            // A client that leaves meanwhile is not waited for.
            Some(Until::Held) if sent == bytes / 2 => {
                tokio::select! { () = shared.released() => {}, () = feed.closed() => return }
            }
            _ => {}
        }
    }
    if !answer.trailers.is_empty() {
        feed.trailers(headers(&answer.trailers)).await;
    }
}

fn response(answer: &Answer, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = answer.status.try_into().expect("a status");
    response.headers_mut().extend(headers(&answer.headers));
    response
}

fn headers(pairs: &[(String, String)]) -> HeaderMap {
    let one = |(name, value): &(String, String)| {
        let name: HeaderName = name.parse().expect("a header's name");
        (name, HeaderValue::from_str(value).expect("a header's value"))
    };
    pairs.iter().map(one).collect()
}

fn by_path(seen: &Seen) -> Answer {
    let path = seen.target.split('?').next().unwrap_or_default();
    let mut words = path.trim_start_matches('/').split('/');
    let (word, number) = (words.next().unwrap_or_default(), words.next().and_then(|number| number.parse().ok()));
    match (word, number) {
        ("bytes", Some(bytes)) => Answer::pattern(bytes, true, None),
        ("chunked", Some(bytes)) => Answer::pattern(bytes, false, None),
        ("cut", Some(bytes)) => Answer::pattern(bytes * 2, true, Some(Until::Cut)),
        ("cut-chunked", Some(bytes)) => Answer::pattern(bytes * 2, false, Some(Until::Cut)),
        ("hold-body", Some(bytes)) => Answer::pattern(bytes * 2, true, Some(Until::Held)),
        ("status", Some(status)) => Answer::status(u16::try_from(status).expect("a status")),
        ("trailers", None) => Answer::body("with trailers").trailer("x-sum", "42"),
        ("hold", _) => Answer::body(described(seen)).held(),
        _ => Answer::body(described(seen)).header("content-type", "application/json"),
    }
}

fn described(seen: &Seen) -> String {
    let headers = seen.headers.keys().map(|name| (name.to_string(), json!(seen.values(name.as_str()))));
    json!({
        "method": seen.method,
        "target": seen.target,
        "headers": headers.collect::<serde_json::Map<String, Value>>(),
        "body_bytes": seen.body_bytes,
        "body_sha256": seen.body_sha256,
    })
    .to_string()
}

/// All origins live beside the tests' own runtimes, so that a test that computes does not stop them.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let built = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        built.map_err(|error: io::Error| error.to_string()).expect("a runtime for origins")
    })
}
