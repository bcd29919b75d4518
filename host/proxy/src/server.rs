//! The proxy as a whole: bound, running on all workers, given another configuration, drained.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use palisade_config::Config;
use tokio::sync::{mpsc, oneshot, watch};

use crate::explain::Explanations;
use crate::inherited::{Inherited, quic_name};
use crate::plan::{CountedChain, Parts, Plan, PlanError};
use crate::sockets::{Addresses, Sockets};
use crate::tls::{Challenges, Issued, ShownCertificate};
use crate::upstream::{Order as EndpointOrder, SeenEndpoint, Standing, Unknown as UnknownEndpoint};
use crate::upstream::{Oversight, first_words};
use crate::worker::{self, Order, Switch};

/// Stack of a worker beside what guests may use.
const WORKER_STACK_BYTES: usize = 4 << 20;

/// How long `/metrics` waits for a worker to hand over what it has kept.
const FLUSH_LIMIT: Duration = Duration::from_millis(100);

/// Orders that wait for a worker.
const ORDERS_MAX: usize = 4;

/// Why the proxy does not run, or does not take a configuration.
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
    /// It takes no configuration any more.
    #[error("the host is draining")]
    Draining,
}

/// A checked configuration with every socket bound: nothing is left that could fail for a reason outside of this process.
#[derive(Debug)]
pub struct Bound {
    plan: Arc<Plan>,
    addresses: Addresses,
    /// By worker.
    sockets: Vec<Sockets>,
    worker_stack_bytes: usize,
}

impl Bound {
    /// Reads certificates and binds every address for every worker, but for those that are listened on already.
    ///
    /// # Errors
    /// See [`StartError`]; nothing stays bound then.
    pub fn new(config: &Config, parts: Parts, inherited: &mut Inherited) -> Result<Self, StartError> {
        let plan = Arc::new(Plan::next(config, parts, None).map_err(StartError::Plan)?);
        let workers = config.workers.or(std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        let (addresses, sockets) = Addresses::default().next(&config.listeners, workers, inherited)?;
        Ok(Self { plan, addresses, sockets, worker_stack_bytes: WORKER_STACK_BYTES + config.engine.stack_bytes })
    }

    /// Reads and checks everything that can be without binding an address.
    ///
    /// # Errors
    /// [`StartError::Plan`].
    pub fn check(config: &Config, parts: Parts) -> Result<(), StartError> {
        Plan::next(config, parts, None).map(drop).map_err(StartError::Plan)
    }

    /// Starts every worker, each with this on its thread, and returns when all of them accept.
    ///
    /// # Errors
    /// A thread or its runtime did not start; those that did are drained.
    pub async fn run(self, on_thread_start: fn()) -> Result<Running, StartError> {
        let oversight = Oversight::default();
        oversight.serve(&self.plan.upstreams);
        first_words(&self.plan.upstreams).await;
        let (drain, draining) = watch::channel(false);
        let chains = self.plan.chains().collect();
        let addresses = Arc::new(self.addresses);
        let mut running = Running {
            current: Mutex::new(Current { plan: self.plan.clone(), addresses: addresses.clone(), chains }),
            replacing: tokio::sync::Mutex::default(),
            oversight,
            drain,
            threads: Mutex::default(),
            workers: Vec::new(),
            explanations: Arc::default(),
            handed_over: Arc::default(),
        };
        for (index, sockets) in self.sockets.into_iter().enumerate() {
            let (orders, ordered) = mpsc::channel(ORDERS_MAX);
            let (ready, started) = oneshot::channel();
            let first = Switch { plan: self.plan.clone(), addresses: addresses.clone(), sockets };
            let draining = draining.clone();
            let own = worker::Own {
                index,
                explanations: running.explanations.clone(),
                handed_over: running.handed_over.clone(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("worker-{index}"))
                .stack_size(self.worker_stack_bytes)
                .spawn(move || {
                    on_thread_start();
                    worker::run(own, (first, ready), ordered, draining);
                })
                .map_err(|error| StartError::Worker { worker: index, error })?;
            running.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
            running.workers.push(orders);
            let started = started.await.unwrap_or_else(|_| Err(io::Error::other("it ended at once")));
            started.map_err(|error| StartError::Worker { worker: index, error })?;
        }
        // Everything is there for them: from now on new clients over UDP come here, and not to the process before.
        for address in addresses.iter() {
            let steered = address.quic.as_ref().map_or(Ok(()), |group| group.take_traffic());
            let (listener, address) = (address.listener.clone(), address.bound);
            steered.map_err(|error| StartError::Bind { listener, address, error })?;
        }
        Ok(running)
    }
}

/// The proxy at work. Dropping it drains it without waiting: the workers see that nobody holds the other end.
#[derive(Debug)]
pub struct Running {
    current: Mutex<Current>,
    /// Held by whoever replaces the configuration: one at a time.
    replacing: tokio::sync::Mutex<()>,
    oversight: Oversight,
    drain: watch::Sender<bool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    workers: Vec<mpsc::Sender<Order>>,
    explanations: Arc<Explanations>,
    handed_over: Arc<AtomicBool>,
}

/// What the workers serve.
#[derive(Debug)]
struct Current {
    plan: Arc<Plan>,
    addresses: Arc<Addresses>,
    /// The chains of this plan, and those of earlier ones that exchanges still go through.
    chains: Vec<CountedChain>,
}

impl Running {
    /// Each listener's name with each address that it listens on; a port 0 of the configuration is the real one here.
    #[must_use]
    pub fn addresses(&self) -> Vec<(String, SocketAddr)> {
        let current = self.current();
        current.addresses.iter().map(|address| (address.listener.clone(), address.bound)).collect()
    }

    /// Requests that are to be explained.
    #[must_use]
    pub fn explanations(&self) -> &Explanations {
        &self.explanations
    }

    /// How many workers there are.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Which of the configurations of this process is served, from one.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.current().plan.generation
    }

    /// Whether [`Running::replace`] would take this, as far as can be said without taking it. What of it would not be as it
    /// stands on disk is told.
    ///
    /// # Errors
    /// [`StartError::Plan`].
    pub fn check(&self, config: &Config, parts: Parts) -> Result<Vec<PlanError>, StartError> {
        let before = self.current().plan.clone();
        Plan::next(config, parts, Some(&before)).map(|plan| plan.kept).map_err(StartError::Plan)
    }

    /// What is known of every certificate that clients are shown.
    #[must_use]
    pub fn certificates(&self) -> Vec<ShownCertificate> {
        let plan = self.current().plan.clone();
        plan.certificates().collect()
    }

    /// The certificates that an authority is to issue.
    #[must_use]
    pub fn issued(&self) -> Vec<Arc<Issued>> {
        self.current().plan.common.issued.clone()
    }

    /// Where the answers to an authority's challenges go.
    #[must_use]
    pub fn challenges(&self) -> Arc<Challenges> {
        self.current().plan.common.challenges.clone()
    }

    /// Every endpoint of every upstream.
    #[must_use]
    pub fn endpoints(&self) -> Vec<SeenEndpoint> {
        let plan = self.current().plan.clone();
        plan.upstreams.iter().flat_map(|upstream| upstream.seen()).collect()
    }

    /// Does what an operator orders for an endpoint of this upstream, and tells what has come of it.
    ///
    /// # Errors
    /// There is no such endpoint.
    pub fn order(
        &self,
        upstream: &str,
        endpoint: SocketAddr,
        order: EndpointOrder,
    ) -> Result<Standing, UnknownEndpoint> {
        let plan = self.current().plan.clone();
        plan.upstream(upstream).ok_or(UnknownEndpoint::Upstream)?.order(endpoint, order)
    }

    /// Exchanges under way whose chain has the plugin of this name, by whichever configuration they began.
    #[must_use]
    pub fn leases(&self, plugin: &str) -> usize {
        let current = self.current();
        let chains = current.chains.iter().filter(|chain| chain.plugins.iter().any(|name| name == plugin));
        chains.map(|chain| chain.leases.load(Ordering::Relaxed)).sum()
    }

    /// Serves this configuration from the next request on, and returns when every worker does.
    ///
    /// An exchange that has begun ends as it began. Connections stay, those of listeners that are gone are drained. What is
    /// not changed is kept: sockets, an upstream's connections, and the instances of a plugin that is the same `Arc`. The
    /// number of workers and their stack stay as they are. Whoever calls it while it is at work waits. To drop the future
    /// before its end may leave some workers with one configuration and some with the other.
    ///
    /// # Errors
    /// See [`StartError`]; everything is as it was then.
    pub async fn replace(&self, config: &Config, parts: Parts) -> Result<(), StartError> {
        let _alone = self.replacing.lock().await;
        if *self.drain.borrow() {
            return Err(StartError::Draining);
        }
        let (before, addresses) = {
            let current = self.current();
            (current.plan.clone(), current.addresses.clone())
        };
        let plan = Arc::new(Plan::next(config, parts, Some(&before)).map_err(StartError::Plan)?);
        let (addresses, sockets) = addresses.next(&config.listeners, self.workers.len(), &mut Inherited::default())?;
        let addresses = Arc::new(addresses);
        self.oversight.serve(&plan.upstreams);
        first_words(&plan.upstreams).await;
        {
            let mut current = self.current();
            // Counted from both until the workers have switched.
            current.chains.extend(plan.chains());
            (current.plan, current.addresses) = (plan.clone(), addresses.clone());
        }
        self.switch(&plan, &addresses, sockets).await;
        for upstream in &before.upstreams {
            upstream.followed_by(plan.upstream(&upstream.config.name));
        }
        drop(before);
        // What no worker has any more, nobody will ever lease again.
        self.current().chains.retain(|chain| Arc::strong_count(&chain.leases) > 1);
        Ok(())
    }

    /// Hands the plan to every worker and waits until each has taken it.
    async fn switch(&self, plan: &Arc<Plan>, addresses: &Arc<Addresses>, sockets: Vec<Sockets>) {
        let mut switching = Vec::with_capacity(self.workers.len());
        for (worker, sockets) in self.workers.iter().zip(sockets) {
            let (done, taken) = oneshot::channel();
            let switch = Switch { plan: plan.clone(), addresses: addresses.clone(), sockets };
            // A worker that is gone has drained, and so will the others.
            if worker.send(Order::Switch(Box::new(switch), done)).await.is_ok() {
                switching.push(taken);
            }
        }
        for (worker, taken) in switching.into_iter().enumerate() {
            if let Ok(Err(error)) = taken.await {
                tracing::error!(worker, %error, "an address is not listened on by this worker; the others do");
            }
        }
    }

    /// Makes every worker hand over to its observers what it has kept, so that their figures are up to now. A worker that
    /// is busy for 100 ms is not waited for.
    pub async fn flush(&self) {
        let mut done = Vec::with_capacity(self.workers.len());
        for worker in &self.workers {
            let (tell, told) = oneshot::channel();
            if worker.try_send(Order::Flush(tell)).is_ok() {
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

    /// Every socket that a worker accepts on, with its listener's name, for another process to accept on as well. In the order of
    /// the workers; behind them those of HTTP/3, with the name of who reads them.
    pub async fn sockets(&self) -> Vec<(String, OwnedFd)> {
        let mut sockets = Vec::new();
        for worker in &self.workers {
            let (tell, told) = oneshot::channel();
            if worker.send(Order::Lend(tell)).await.is_ok() {
                sockets.extend(told.await.unwrap_or_default());
            }
        }
        let addresses = self.current().addresses.clone();
        for group in addresses.iter().filter_map(|address| address.quic.as_ref()) {
            match group.lend() {
                Ok(held) => sockets.extend(held.into_iter().map(|held| (quic_name(held.process), held.socket.into()))),
                Err(error) => tracing::warn!(%error, "a socket of HTTP/3 cannot be handed over"),
            }
        }
        sockets
    }

    /// Nobody has taken over: what may come to the sockets of who was about to comes here again.
    pub fn take_back(&self) {
        let addresses = self.current().addresses.clone();
        for group in addresses.iter().filter_map(|address| address.quic.as_ref()) {
            if let Err(error) = group.steer() {
                tracing::error!(%error, "new clients of HTTP/3 may not be served");
            }
        }
    }

    /// Another process accepts on the same sockets: what waits in their queues is left to it when this one drains.
    pub fn handed_over(&self) {
        self.handed_over.store(true, Ordering::Relaxed);
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

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
