//! One worker: a thread with its own runtime, sockets, plugin instances and connections. A request never leaves it.

use std::io;
use std::net::TcpListener as StdListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use palisade_contract::{Chain, Filter, Refusal, WorkerServices};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinSet, LocalSet};
use tokio_rustls::TlsAcceptor;

use crate::client;
use crate::plan::{ListenerPlan, Plan, RoutePlan};
use crate::routes::Routes;
use crate::site::{Site, Way, Worker};
use crate::upstream::Pools;

/// Between two looks for connections to endpoints that were not used for too long.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// After the kernel could not hand over a connection: most often there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// What a worker is told while it runs.
pub(crate) struct Orders {
    /// True once: stop accepting, finish what is under way.
    pub(crate) drain: watch::Receiver<bool>,
    /// Hand over what observers have kept, and say when it is done.
    pub(crate) flush: mpsc::Receiver<oneshot::Sender<()>>,
    /// How long draining may take.
    pub(crate) drain_limit: Duration,
}

/// Runs one worker on the calling thread until it has drained. `ready` is told when it accepts.
pub(crate) fn run(
    index: usize,
    plan: &Plan,
    sockets: Vec<StdListener>,
    orders: Orders,
    ready: oneshot::Sender<io::Result<()>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(error))),
    };
    let local = LocalSet::new();
    runtime.block_on(local.run_until(work(index, plan, sockets, orders, ready)));
    // Whatever has not ended by now is cut with the set.
    drop(local);
}

async fn work(
    index: usize,
    plan: &Plan,
    sockets: Vec<StdListener>,
    orders: Orders,
    ready: oneshot::Sender<io::Result<()>>,
) {
    let Orders { drain, mut flush, drain_limit } = orders;
    let services = WorkerServices::default();
    let worker = Worker::new(index, plan.plugins.iter().map(|plugin| plugin.open(&services)).collect());
    let pools: Vec<Rc<Pools>> =
        plan.upstreams.iter().map(|upstream| Pools::new(upstream, plan.monitor.as_ref())).collect();
    let mut listening = JoinSet::new();
    let mut sockets = sockets.into_iter();
    for listener in &plan.listeners {
        let site = site(listener, plan, &worker, &pools);
        for socket in sockets.by_ref().take(listener.config.bind.len()) {
            let socket = match TcpListener::from_std(socket) {
                Ok(socket) => socket,
                Err(error) => return drop(ready.send(Err(error))),
            };
            listening.spawn_local(accept(site.clone(), socket, listener.clone(), drain.clone(), drain_limit));
        }
    }
    let _ = ready.send(Ok(()));
    let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
    let mut flusher = std::pin::pin!(worker.flush_always());
    loop {
        tokio::select! {
            accepted = listening.join_next() => if accepted.is_none() { break },
            () = &mut flusher => {}
            _ = sweep.tick() => pools.iter().for_each(|pools| pools.sweep()),
            Some(done) = flush.recv() => {
                worker.flush();
                let _ = done.send(());
            }
        }
    }
    worker.flush();
}

/// A listener as this worker serves it.
fn site(listener: &ListenerPlan, plan: &Plan, worker: &Rc<Worker>, pools: &[Rc<Pools>]) -> Rc<Site> {
    let chain = |plugins: &[usize], leases: &Arc<AtomicUsize>| {
        let filters: Vec<Rc<dyn Filter>> =
            plugins.iter().filter_map(|plugin| worker.filters.get(*plugin).cloned()).collect();
        Chain::counted(&filters, leases.clone())
    };
    let way = |route: &RoutePlan| {
        let pools = pools.get(route.config.upstream)?.clone();
        Some(Way { name: route.name, chain: chain(&route.config.chain, &route.leases), pools })
    };
    let routes: Vec<palisade_config::Route> = listener.routes.iter().map(|route| route.config.clone()).collect();
    Rc::new(Site {
        name: listener.name,
        config: listener.config.clone(),
        monitor: plan.monitor.listener(&listener.config.name),
        logs_access: plan.logs_access,
        worker: worker.clone(),
        chain: chain(&listener.config.chain, &listener.leases),
        routes: Routes::new(&routes),
        ways: listener.routes.iter().filter_map(way).collect(),
    })
}

/// Accepts on one socket until the host drains, then waits for what is under way.
async fn accept(
    site: Rc<Site>,
    socket: TcpListener,
    plan: ListenerPlan,
    drain: watch::Receiver<bool>,
    drain_limit: Duration,
) {
    let mut draining = drain.clone();
    let acceptor = plan.tls.clone().map(TlsAcceptor::from);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            _ = draining.wait_for(|drain| *drain) => break,
            accepted = socket.accept() => match accepted {
                Ok((stream, _)) => {
                    site.monitor.connection_opened();
                    let Some(place) = Place::take(&plan.connections, site.config.limits.connections) else {
                        site.monitor.connection_refused(Refusal::Limit);
                        site.monitor.connection_closed();
                        continue;
                    };
                    let (site, acceptor, drain) = (site.clone(), acceptor.clone(), drain.clone());
                    connections.spawn_local(async move {
                        let _place = place;
                        let _closed = Closed(site.clone());
                        client::run(site, stream, acceptor, drain).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(listener = %site.config.name, %error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(socket);
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(drain_limit, finished).await.is_err() {
        let cut = connections.len();
        tracing::warn!(listener = %site.config.name, cut, "connections were cut: the time to drain was over");
        (0..cut).for_each(|_| site.monitor.connection_refused(Refusal::Drain));
        connections.shutdown().await;
    }
}

/// Says that a connection is gone, however its task ends.
struct Closed(Rc<Site>);

impl Drop for Closed {
    fn drop(&mut self) {
        self.0.monitor.connection_closed();
    }
}

/// One of the connections that a listener may have, all workers together.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(taken: &Arc<AtomicUsize>, limit: usize) -> Option<Self> {
        let place = Self(taken.clone());
        // Counted first, so that no two workers take the last place; the place gives itself back.
        (taken.fetch_add(1, Ordering::Relaxed) < limit).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
