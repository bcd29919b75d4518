//! The proxy as a whole: bound, running on all workers, drained.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use palisade_config::Config;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::{mpsc, oneshot, watch};

use crate::plan::{Parts, Plan, PlanError};
use crate::worker::{self, Orders};

/// Connections that the kernel keeps for a socket until they are accepted.
const BACKLOG: i32 = 4_096;

/// Stack of a worker beside what guests may use.
const WORKER_STACK_BYTES: usize = 4 << 20;

/// How long `/metrics` waits for a worker to hand over what it has kept.
const FLUSH_LIMIT: Duration = Duration::from_millis(100);

/// Why the proxy does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Certificates cannot be used: every problem, not only the first.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Plan(Vec<PlanError>),
    /// A listener's address cannot be bound.
    #[error("listener {listener:?} cannot listen on {address}: {error}")]
    Bind {
        /// The listener.
        listener: String,
        /// The address.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// A worker's thread or runtime did not start.
    #[error("worker {worker} did not start: {error}")]
    Worker {
        /// Which of them, from zero.
        worker: usize,
        /// Why.
        error: io::Error,
    },
}

/// A checked configuration with every socket bound: nothing is left that could fail for a reason outside of this process.
#[derive(Debug)]
pub struct Bound {
    plan: Arc<Plan>,
    /// By worker, then in the order of the listeners and their addresses.
    sockets: Vec<Vec<TcpListener>>,
    addresses: Vec<(String, SocketAddr)>,
    drain_limit: Duration,
    worker_stack_bytes: usize,
}

impl Bound {
    /// Reads certificates and binds every address for every worker.
    ///
    /// # Errors
    /// See [`StartError`]; nothing stays bound then.
    pub fn new(config: &Config, parts: Parts) -> Result<Self, StartError> {
        let plan = Arc::new(Plan::new(config, parts).map_err(StartError::Plan)?);
        let workers = config.workers.or(std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        let mut sockets: Vec<Vec<TcpListener>> = (0..workers).map(|_| Vec::new()).collect();
        let mut addresses = Vec::new();
        for listener in &config.listeners {
            for wanted in &listener.bind {
                let bound = bind_for_all(*wanted, &mut sockets).map_err(|error| StartError::Bind {
                    listener: listener.name.clone(),
                    address: *wanted,
                    error,
                })?;
                addresses.push((listener.name.clone(), bound));
            }
        }
        let worker_stack_bytes = WORKER_STACK_BYTES + config.engine.stack_bytes;
        Ok(Self { plan, sockets, addresses, drain_limit: config.shutdown.drain, worker_stack_bytes })
    }

    /// Reads and checks everything that can be without binding an address.
    ///
    /// # Errors
    /// [`StartError::Plan`].
    pub fn check(config: &Config, parts: Parts) -> Result<(), StartError> {
        Plan::new(config, parts).map(drop).map_err(StartError::Plan)
    }

    /// Each listener's name with each address that it listens on; a port 0 of the configuration is the real one here.
    #[must_use]
    pub fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    /// Starts every worker, and returns when all of them accept.
    ///
    /// # Errors
    /// A thread or its runtime did not start; those that did are drained.
    pub async fn run(self) -> Result<Running, StartError> {
        let (drain, draining) = watch::channel(false);
        let mut running = Running {
            plan: self.plan.clone(),
            drain,
            threads: Mutex::default(),
            flush: Vec::new(),
            addresses: self.addresses,
        };
        for (index, sockets) in self.sockets.into_iter().enumerate() {
            let (flush, flushing) = mpsc::channel(1);
            let (ready, started) = oneshot::channel();
            let orders = Orders { drain: draining.clone(), flush: flushing, drain_limit: self.drain_limit };
            let plan = self.plan.clone();
            let thread = std::thread::Builder::new()
                .name(format!("worker-{index}"))
                .stack_size(self.worker_stack_bytes)
                .spawn(move || worker::run(index, &plan, sockets, orders, ready))
                .map_err(|error| StartError::Worker { worker: index, error })?;
            running.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
            running.flush.push(flush);
            let started = started.await.unwrap_or_else(|_| Err(io::Error::other("it ended at once")));
            started.map_err(|error| StartError::Worker { worker: index, error })?;
        }
        Ok(running)
    }
}

/// The proxy at work. Dropping it drains it without waiting: the workers see that nobody holds the other end.
#[derive(Debug)]
pub struct Running {
    plan: Arc<Plan>,
    drain: watch::Sender<bool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// One for each worker.
    flush: Vec<mpsc::Sender<oneshot::Sender<()>>>,
    addresses: Vec<(String, SocketAddr)>,
}

impl Running {
    /// As [`Bound::addresses`].
    #[must_use]
    pub fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    /// How many workers there are.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.flush.len()
    }

    /// Exchanges under way whose chain has this plugin, by its index in the configuration.
    #[must_use]
    pub fn leases(&self, plugin: usize) -> usize {
        let listeners = self.plan.listeners.iter();
        let chains = listeners.flat_map(|listener| {
            let routes = listener.routes.iter().map(|route| (&route.config.chain, &route.leases));
            std::iter::once((&listener.config.chain, &listener.leases)).chain(routes)
        });
        chains.filter(|(chain, _)| chain.contains(&plugin)).map(|(_, leases)| leases.load(Ordering::Relaxed)).sum()
    }

    /// Makes every worker hand over to its observers what it has kept, so that their figures are up to now. A worker that
    /// is busy for 100 ms is not waited for.
    pub async fn flush(&self) {
        let mut done = Vec::with_capacity(self.flush.len());
        for worker in &self.flush {
            let (tell, told) = oneshot::channel();
            if worker.try_send(tell).is_ok() {
                done.push(told);
            }
        }
        let all = async {
            for told in done {
                let _ = told.await;
            }
        };
        let _ = tokio::time::timeout(FLUSH_LIMIT, all).await;
    }

    /// Stops accepting, lets exchanges under way finish within the configured time, and ends every worker.
    pub async fn shut_down(&self) {
        let _ = self.drain.send(true);
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("a worker panicked");
                }
            }
        });
        let _ = joined.await;
    }
}

/// Binds one address once for each worker. The first socket settles the port for the others.
///
/// An address that anybody listens on already is refused, another Palisade of the same user included: the kernel would
/// let both share it, and each would get some of the connections.
fn bind_for_all(wanted: SocketAddr, sockets: &mut [Vec<TcpListener>]) -> io::Result<SocketAddr> {
    drop(bound(wanted, Sharing::Nobody)?);
    let mut address = wanted;
    for sockets in sockets {
        let socket = bound(address, Sharing::Workers)?;
        socket.listen(BACKLOG)?;
        let socket = TcpListener::from(socket);
        address = socket.local_addr()?;
        sockets.push(socket);
    }
    Ok(address)
}

/// Who else may be bound to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Nobody,
    Workers,
}

fn bound(address: SocketAddr, sharing: Sharing) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(sharing == Sharing::Workers)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        // `[::]` is every address of both families, as operators expect of it.
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_an_address_and_nobody_else_does() {
        let mut workers = vec![Vec::new(), Vec::new()];
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let address = bind_for_all(anywhere, &mut workers).expect("a free port");
        assert!(workers.iter().flatten().all(|socket| socket.local_addr().ok() == Some(address)));
        let again = bind_for_all(address, &mut [Vec::new()]);
        assert_eq!(again.map_err(|error| error.kind()), Err(io::ErrorKind::AddrInUse));
        drop(workers);
        assert_eq!(bind_for_all(address, &mut [Vec::new()]).ok(), Some(address));
    }
}
