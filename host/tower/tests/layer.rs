//! A layer around a service, with filters that need no sandbox: what the service sees, what the client gets, and who hears
//! of the end.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod native;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt, Full};
use palisade_contract::{OnError, Plugin};
use palisade_tower::{Body, BoxError, Options, PalisadeLayer};
use tower_layer::Layer;
use tower_service::Service;

use crate::native::{Act, Heard, Native};

type Incoming = Body<Full<Bytes>>;

/// The service: tells what it saw of the head in the response's headers, and says the body back.
#[derive(Clone)]
struct Echo;

impl Service<Request<Incoming>> for Echo {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let names: Vec<String> =
                parts.headers.iter().map(|(name, value)| format!("{name}={}", value.to_str().expect("text"))).collect();
            let builder = Response::builder().header("saw-uri", parts.uri.to_string()).header("saw", names.join(","));
            let response = match body.collect().await {
                Ok(body) => builder.body(Full::new(body.to_bytes())),
                Err(error) => builder.status(500).body(Full::from(error.to_string())),
            };
            Ok(response.expect("a response"))
        })
    }
}

fn layer(plugins: Vec<Native>) -> PalisadeLayer {
    let plugins: Vec<Arc<dyn Plugin>> = plugins.into_iter().map(|plugin| Arc::new(plugin) as Arc<dyn Plugin>).collect();
    let options = Options { threads: std::num::NonZeroUsize::new(2).expect("two"), ..Options::default() };
    PalisadeLayer::new(&plugins, &options, |extensions| extensions.get::<SocketAddr>().copied()).expect("threads")
}

fn request(body: &str) -> Request<Full<Bytes>> {
    let client: SocketAddr = "192.0.2.7:50000".parse().expect("an address");
    let request = Request::post("/a?b").header("host", "x").header("content-length", body.len()).extension(client);
    request.body(Full::from(body.to_owned())).expect("a request")
}

/// What a client gets: the status, the headers and the body, or how it broke.
async fn ask(layer: &PalisadeLayer, request: Request<Full<Bytes>>) -> (StatusCode, String, String) {
    let Ok(response) = layer.layer(Echo).call(request).await;
    let (parts, body) = response.into_parts();
    let headers: Vec<String> = parts.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    let body = match body.collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(error) => format!("! {error}"),
    };
    (parts.status, headers.join("\n"), body)
}

#[tokio::test]
async fn heads_pass_filters_and_bodies_stay_what_they_are() {
    let heard = Heard::default();
    let layer = layer(vec![Native::new(Act::Mark("a"), &heard), Native::new(Act::Mark("b"), &heard)]);
    let (status, headers, body) = ask(&layer, request("hello")).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "hello"));
    for seen in ["x-a=1", "x-b=1", "content-length=5", "host=x"] {
        assert!(headers.contains(seen), "{seen} in {headers}");
    }
    assert!(headers.contains("saw-uri: \"/a?b\""), "{headers}");
    assert!(headers.ends_with("x-b: \"1\"\nx-a: \"1\""), "{headers}");
    assert_eq!(heard.ending().await, "complete 200 5 5");
}

#[tokio::test]
async fn what_a_chain_refuses_is_a_response() {
    for (act, on_error, status, head, body) in [
        (Act::Reply, None, 418, "x-own: \"1\"", "teapot\n"),
        (Act::Fail, None, 503, "content-type", "service unavailable\n"),
        (Act::Fail, Some(OnError::Open), 200, "saw-uri", "hello"),
        (Act::Close, None, 503, "connection: \"close\"", ""),
        (Act::Refuse, None, 503, "connection: \"close\"", ""),
    ] {
        let heard = Heard::default();
        let mut plugin = Native::new(act, &heard);
        plugin.on_error = on_error;
        let (found, headers, said) = ask(&layer(vec![plugin]), request("hello")).await;
        assert_eq!((found.as_u16(), said.as_str()), (status, body), "{act:?}");
        assert!(headers.contains(head), "{act:?}: {headers}");
    }
}

#[tokio::test]
async fn bodies_pass_body_filters_with_the_length_that_they_get() {
    for (act, said, length) in
        [(Act::Upper, "HELLO", Some(5)), (Act::Double, "hheelllloo", None), (Act::Whole, "5: hello", Some(8))]
    {
        let heard = Heard::default();
        let (status, headers, body) = ask(&layer(vec![Native::new(act, &heard)]), request("hello")).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, said), "{act:?}");
        let saw = length.map(|length| format!("content-length={length}"));
        assert_eq!(headers.contains("content-length="), saw.is_some(), "{act:?}: {headers}");
        assert!(saw.is_none_or(|saw| headers.contains(&saw)), "{act:?}: {headers}");
    }
    let heard = Heard::default();
    let response = layer(vec![Native::new(Act::DoubleAnswer, &heard)]);
    let (status, _, body) = ask(&response, request("hello")).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "hheelllloo"));
    assert_eq!(heard.ending().await, "complete 200 5 10");
}

#[tokio::test]
async fn a_body_filter_that_stops_a_body_decides_the_answer() {
    let heard = Heard::default();
    let (status, _, body) = ask(&layer(vec![Native::new(Act::StopBody, &heard)]), request("hello")).await;
    assert_eq!((status.as_u16(), body.as_str()), (418, "teapot\n"));
    let heard = Heard::default();
    let (status, _, body) = ask(&layer(vec![Native::new(Act::Small, &heard)]), request("hello")).await;
    assert_eq!((status.as_u16(), body.as_str()), (413, "payload too large\n"));
}

#[tokio::test]
async fn a_request_that_filters_could_not_judge_does_not_pass() {
    let layer = layer(vec![]);
    let mut unknown = request("hello");
    unknown.extensions_mut().clear();
    assert_eq!(ask(&layer, unknown).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    let mut hostless = request("hello");
    hostless.headers_mut().remove("host");
    assert_eq!(ask(&layer, hostless).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_upgrade_is_seen_by_the_service_and_not_by_filters() {
    let heard = Heard::default();
    let mut upgrade = request("");
    upgrade.headers_mut().insert("connection", "upgrade".parse().expect("a value"));
    upgrade.headers_mut().insert("upgrade", "websocket".parse().expect("a value"));
    let (_, headers, _) = ask(&layer(vec![Native::new(Act::Mark("a"), &heard)]), upgrade).await;
    assert!(headers.contains("connection=upgrade") && headers.contains("upgrade=websocket"), "{headers}");
    let seen = heard.names();
    assert!(!seen.contains("upgrade") && !seen.contains("connection"), "{seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_stays_on_its_thread_and_threads_take_turns() {
    let heard = Heard::default();
    let layer = layer(vec![Native::new(Act::Mark("a"), &heard)]);
    for _ in 0..4 {
        ask(&layer, request("hello")).await;
    }
    let threads = heard.threads();
    assert!(threads.iter().all(|(asked, answered)| asked == answered), "{threads:?}");
    assert_eq!(
        threads.iter().map(|(asked, _)| asked).collect::<std::collections::HashSet<_>>().len(),
        2,
        "{threads:?}"
    );
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_exchange() {
    let heard = Heard::default();
    let layer = layer(vec![Native::new(Act::Mark("a"), &heard)]);
    // Before the service has answered.
    let forever = Never;
    let client: SocketAddr = "192.0.2.7:50000".parse().expect("an address");
    let pending = Request::post("/").header("host", "x").extension(client).body(forever).expect("a request");
    let asked = tokio::time::timeout(Duration::from_millis(50), layer.layer(Collect).call(pending)).await;
    assert!(asked.is_err(), "the service waits for the body");
    assert_eq!(heard.ending().await, "client-gone 0 0 0");
    // Before the response's end.
    let Ok(response) = layer.layer(Echo).call(request("hello")).await;
    assert!(!response.body().is_end_stream());
    drop(response);
    assert_eq!(heard.ending().await, "client-gone 200 5 0");
}

/// A body of which nothing comes.
struct Never;

impl http_body::Body for Never {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        std::task::Poll::Pending
    }
}

/// A service that answers once it has the whole body.
#[derive(Clone)]
struct Collect;

impl<B> Service<Request<Body<B>>> for Collect
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body<B>>) -> Self::Future {
        Box::pin(async move {
            let body = request.into_body().collect().await.map(|body| body.to_bytes());
            Ok(Response::new(Full::new(body.unwrap_or_default())))
        })
    }
}
