//! The admin listener: is it alive, is it ready, what does it count, what runs in it, and a reload.

mod answer;

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(crate) use answer::GUARD;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use palisade_proxy::Inherited;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::state::State;

/// Connections at a time, and how long one may take: this is for a scraper and an operator, not for the public.
const CONNECTIONS_MAX: usize = 64;
const CONNECTION_LIMIT: Duration = Duration::from_secs(30);
const HEADER_LIMIT: Duration = Duration::from_secs(5);

/// By which its socket is handed over: no listener has this name.
const NAME: &str = "[admin]";

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
    /// The same socket, for whoever takes this process's place.
    socket: Option<StdListener>,
    task: JoinHandle<()>,
}

impl Admin {
    pub(crate) fn bind(address: SocketAddr) -> Result<BoundAdmin, AdminError> {
        Self::bind_or_take(address, &mut Inherited::default())
    }

    /// Binds the address, where it is not listened on already.
    pub(crate) fn bind_or_take(address: SocketAddr, inherited: &mut Inherited) -> Result<BoundAdmin, AdminError> {
        let given = inherited.take(NAME, address).into_iter().next();
        let bound = given.map_or_else(|| StdListener::bind(address), Ok).and_then(|socket| {
            socket.set_nonblocking(true)?;
            let address = socket.local_addr()?;
            Ok(BoundAdmin { socket, address })
        });
        bound.map_err(|error| AdminError { address, error })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A descriptor of its socket, and the name that it is given by.
    pub(crate) fn lend(&self) -> Option<(String, OwnedFd)> {
        Some((NAME.to_owned(), self.socket.as_ref()?.as_fd().try_clone_to_owned().ok()?))
    }

    pub(crate) fn stop(self) {
        self.task.abort();
    }
}

impl BoundAdmin {
    pub(crate) fn serve(self, state: Arc<State>) -> Result<Admin, AdminError> {
        let address = self.address;
        let lent = self.socket.try_clone().ok();
        let socket = TcpListener::from_std(self.socket).map_err(|error| AdminError { address, error })?;
        Ok(Admin { address, socket: lent, task: tokio::spawn(accept(socket, state)) })
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
            serve(stream, state).await;
            drop(place);
        });
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    let is_reloading = Arc::new(AtomicBool::new(false));
    let reloading = is_reloading.clone();
    let service = service_fn(move |request| answer::answer(state.clone(), request, reloading.clone()));
    let mut served = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_LIMIT)
            .serve_connection(TokioIo::new(stream), service)
    );
    // A scraper that leaves is no news. A reload takes as long as its plugins may take to be configured.
    while tokio::time::timeout(CONNECTION_LIMIT, &mut served).await.is_err() && is_reloading.load(Ordering::Relaxed) {}
}
