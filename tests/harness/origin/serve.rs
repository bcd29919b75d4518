//! The connections of an origin, and how each request of them is answered.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use super::answer::{Content, Until};
use super::{Answer, Seen, Shared};
use crate::{Body, Feed, pattern};

pub(super) async fn accept<F>(
    socket: std::net::TcpListener,
    shared: Arc<Shared>,
    connection: impl Fn(TcpStream, Arc<Shared>) -> F,
) where
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

pub(super) async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let service = service_fn(|request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(answer(&shared, request).await) }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Over HTTP/2, with so many streams at a time.
pub(super) async fn serve_http2(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    shared: Arc<Shared>,
    streams: u32,
) {
    let service = service_fn(|request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(answer(&shared, request).await) }
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    let _ = builder.max_concurrent_streams(streams).serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let mut seen = Seen::of(&parts);
    let index = shared.see(seen.clone());
    if parts.uri.path().ends_with("/stream") {
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
    tokio::time::sleep(answer.delay).await;
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
    if parts.method == Method::HEAD && parts.version == Version::HTTP_2 {
        // Over HTTP/1.1 hyper knows that there is none.
        let length = http_body::Body::size_hint(&body).exact();
        let mut response = response(&answer, Body::empty());
        response.headers_mut().extend(length.map(|length| (CONTENT_LENGTH, HeaderValue::from(length))));
        return response;
    }
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

async fn echo(mut body: Incoming, feed: Feed) {
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return feed.cut().await };
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => {
                feed.trailers(frame.into_trailers().unwrap_or_default()).await;
                return;
            }
        };
        if !feed.send(data).await {
            return;
        }
    }
}

async fn feed_answer(answer: Answer, feed: Feed, shared: Arc<Shared>) {
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
