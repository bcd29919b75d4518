//! The admin listener: is it alive, is it ready, what does it count, what runs in it.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use palisade_contract::{Clock, SystemClock};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::figures;
use crate::host::State;

/// Connections at a time, and how long one may take: this is for a scraper and an operator, not for the public.
const CONNECTIONS_MAX: usize = 64;
const CONNECTION_LIMIT: Duration = Duration::from_secs(30);
const HEADER_LIMIT: Duration = Duration::from_secs(5);

/// Why there is no admin listener.
#[derive(Debug, thiserror::Error)]
#[error("the admin listener cannot listen on {address}: {error}")]
pub struct AdminError {
    address: SocketAddr,
    error: io::Error,
}

/// An admin listener whose address is bound.
#[derive(Debug)]
pub(crate) struct BoundAdmin {
    socket: StdListener,
    address: SocketAddr,
}

/// An admin listener at work.
#[derive(Debug)]
pub(crate) struct Admin {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Admin {
    pub(crate) fn bind(address: SocketAddr) -> Result<BoundAdmin, AdminError> {
        let bound = StdListener::bind(address).and_then(|socket| {
            socket.set_nonblocking(true)?;
            let address = socket.local_addr()?;
            Ok(BoundAdmin { socket, address })
        });
        bound.map_err(|error| AdminError { address, error })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn stop(self) {
        self.task.abort();
    }
}

impl BoundAdmin {
    pub(crate) fn serve(self, state: Arc<State>) -> Result<Admin, AdminError> {
        let address = self.address;
        let socket = TcpListener::from_std(self.socket).map_err(|error| AdminError { address, error })?;
        Ok(Admin { address, task: tokio::spawn(accept(socket, state)) })
    }
}

async fn accept(socket: TcpListener, state: Arc<State>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = socket.accept().await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let state = state.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(state.clone(), request));
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_LIMIT)
                .serve_connection(TokioIo::new(stream), service);
            // A scraper that leaves is no news.
            let _ = tokio::time::timeout(CONNECTION_LIMIT, served).await;
            drop(place);
        });
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here\n".into());
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Ok(refusal);
    }
    Ok(match request.uri().path() {
        "/healthz" => text(StatusCode::OK, "alive\n".into()),
        "/readyz" => ready(&state),
        "/metrics" => metrics(&state).await,
        "/plugins" => plugins(&state).await,
        "/" => text(StatusCode::OK, "/healthz\n/readyz\n/metrics\n/plugins\n".into()),
        _ => text(StatusCode::NOT_FOUND, "not found; there are /healthz, /readyz, /metrics and /plugins\n".into()),
    })
}

/// Ready while it accepts. A plugin that did not load is told, and refuses no more than the requests of its own chains.
fn ready(state: &State) -> Response<Full<Bytes>> {
    if state.draining.load(Ordering::Relaxed) {
        return text(StatusCode::SERVICE_UNAVAILABLE, "draining\n".into());
    }
    let mut lines = String::from("ready\n");
    for failed in state.plugins.loaded.iter().filter_map(|loaded| loaded.as_ref().err()) {
        lines.push_str(&format!("degraded: {}\n", failed.reason));
    }
    text(StatusCode::OK, lines)
}

async fn metrics(state: &State) -> Response<Full<Bytes>> {
    state.proxy.flush().await;
    state.registry.plugin_figures(&figures::for_metrics(state));
    state.registry.shared_figures(&state.shared.figures(SystemClock.now()));
    let mut response = text(StatusCode::OK, state.registry.render());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    response
}

async fn plugins(state: &State) -> Response<Full<Bytes>> {
    state.proxy.flush().await;
    let mut response = text(StatusCode::OK, format!("{:#}\n", figures::as_json(state)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn text(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
