//! A server of gRPC, and what a test sees and controls of it.
//!
//! | method | kind | does |
//! |---|---|---|
//! | `Echo` | unary | the same message; what it saw of the metadata is in the answer's |
//! | `Fail` | unary | a status, and nothing else |
//! | `Never` | unary | no answer |
//! | `Count` | server streaming | as many messages as the request says, each when it is let go |
//! | `FailLate` | server streaming | one message, then a status |
//! | `Join` | client streaming | all messages, one after the other |
//! | `Talk` | bidirectional | each message as it comes |
//! | `Refuse` | bidirectional | a status at once, whatever the client sends |

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt, stream};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::Semaphore;
use tonic::body::Body;
use tonic::metadata::AsciiMetadataKey;
use tonic::server::{ClientStreamingService, Grpc, ServerStreamingService, StreamingService, UnaryService};
use tonic::{Code, Request, Response, Status, Streaming};

use super::channel::Plain;
use crate::endpoint::serving;

/// What a test sees and controls.
pub(super) struct Service {
    /// Messages of `Count` that may go.
    pub(super) steps: Semaphore,
    /// Messages that came to `Join`.
    pub(super) joined: AtomicUsize,
    /// Calls that are under way, or whose answers are.
    pub(super) active: AtomicUsize,
}

impl Default for Service {
    fn default() -> Self {
        Self { steps: Semaphore::new(0), joined: AtomicUsize::new(0), active: AtomicUsize::new(0) }
    }
}

/// What a server streams.
struct Messages(Pin<Box<dyn Stream<Item = Result<Vec<u8>, Status>> + Send>>);

impl Messages {
    fn new(messages: impl Stream<Item = Result<Vec<u8>, Status>> + Send + 'static) -> Response<Self> {
        Response::new(Self(Box::pin(messages)))
    }
}

impl Stream for Messages {
    type Item = Result<Vec<u8>, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context)
    }
}

/// Serves it without TLS for as long as the test's runtime lives.
pub(super) async fn serve(service: Arc<Service>) -> SocketAddr {
    serving(move |stream| {
        let service = service.clone();
        async move {
            let answering = service_fn(move |request| {
                let service = service.clone();
                async move { Ok::<_, Infallible>(answer(service, request).await) }
            });
            let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answering).await;
        }
    })
    .await
}

async fn answer(service: Arc<Service>, request: http::Request<Incoming>) -> http::Response<Body> {
    let active = Active::new(&service);
    let mut grpc = Grpc::new(Plain).max_decoding_message_size(64 << 20);
    let path = request.uri().path().to_owned();
    let answer = match path.trim_start_matches("/test.Test/") {
        "Echo" => grpc.unary(Call(echo), request).await,
        "Fail" => grpc.unary(Call(fail), request).await,
        "Never" => grpc.unary(Call(never), request).await,
        "Count" => grpc.server_streaming(Call(move |request| count(request, service.clone())), request).await,
        "FailLate" => grpc.server_streaming(Call(fail_late), request).await,
        "Join" => grpc.client_streaming(Call(move |request| join(request, service.clone())), request).await,
        "Talk" => grpc.streaming(Call(talk), request).await,
        "Refuse" => grpc.streaming(Call(refuse), request).await,
        other => panic!("no method {other:?}"),
    };
    answer.map(|body| Body::new(Guarded(body, active)))
}

fn status() -> Status {
    let mut status = Status::new(Code::FailedPrecondition, "not like this: \u{e4}");
    status.metadata_mut().insert("x-why", "because".parse().expect("a value"));
    status
}

type Plainly = Result<Response<Vec<u8>>, Status>;
type Streamed = Result<Response<Messages>, Status>;

async fn echo(request: Request<Vec<u8>>) -> Plainly {
    let mut response = Response::new(request.get_ref().clone());
    for name in ["x-tag", "grpc-timeout", "te"] {
        if let Some(value) = request.metadata().get(name) {
            let seen: AsciiMetadataKey = format!("x-seen-{name}").parse().expect("a name");
            response.metadata_mut().insert(seen, value.clone());
        }
    }
    Ok(response)
}

async fn fail(_: Request<Vec<u8>>) -> Plainly {
    Err(status())
}

async fn never(_: Request<Vec<u8>>) -> Plainly {
    std::future::pending().await
}

async fn count(request: Request<Vec<u8>>, service: Arc<Service>) -> Streamed {
    let number = request.get_ref().first().copied().unwrap_or_default();
    Ok(Messages::new(stream::iter(0..number).then(move |number| {
        let service = service.clone();
        async move {
            service.steps.acquire().await.expect("an open semaphore").forget();
            Ok(vec![number])
        }
    })))
}

async fn fail_late(_: Request<Vec<u8>>) -> Streamed {
    Ok(Messages::new(stream::iter([Ok(b"first".to_vec()), Err(status())])))
}

async fn refuse(_: Request<Streaming<Vec<u8>>>) -> Streamed {
    Err(status())
}

async fn join(request: Request<Streaming<Vec<u8>>>, service: Arc<Service>) -> Plainly {
    let (mut messages, mut all) = (request.into_inner(), Vec::new());
    while let Some(message) = messages.message().await? {
        all.extend(message);
        service.joined.fetch_add(1, Ordering::SeqCst);
    }
    Ok(Response::new(all))
}

async fn talk(request: Request<Streaming<Vec<u8>>>) -> Streamed {
    Ok(Messages::new(request.into_inner()))
}

/// Counts a call until its answer's body is gone.
struct Active(Arc<Service>);

impl Active {
    fn new(service: &Arc<Service>) -> Self {
        service.active.fetch_add(1, Ordering::SeqCst);
        Self(service.clone())
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::SeqCst);
    }
}

/// An answer's body, which keeps its call active.
struct Guarded(Body, #[expect(dead_code, reason = "counts until it is dropped")] Active);

impl http_body::Body for Guarded {
    type Data = bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, Status>>> {
        Pin::new(&mut self.0).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
}

/// A function that serves calls of any kind.
struct Call<F>(F);

type Answered<M> = Pin<Box<dyn Future<Output = Result<Response<M>, Status>> + Send>>;

macro_rules! serves {
    ($kind:ident, $request:ty, $response:ty $(, $stream:ident)?) => {
        impl<F, A> $kind<Vec<u8>> for Call<F>
        where
            F: FnMut(Request<$request>) -> A,
            A: Future<Output = Result<Response<$response>, Status>> + Send + 'static,
        {
            type Response = Vec<u8>;
            $(type $stream = $response;)?
            type Future = Answered<$response>;

            fn call(&mut self, request: Request<$request>) -> Self::Future {
                Box::pin(self.0(request))
            }
        }
    };
}

serves!(UnaryService, Vec<u8>, Vec<u8>);
serves!(ServerStreamingService, Vec<u8>, Messages, ResponseStream);
serves!(ClientStreamingService, Streaming<Vec<u8>>, Vec<u8>);
serves!(StreamingService, Streaming<Vec<u8>>, Messages, ResponseStream);
