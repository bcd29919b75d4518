//! One worker: a thread with its own runtime, sockets, plugin instances and connections. A request never leaves it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::LocalSet;

use crate::explain::Explanations;
use crate::plan::Plan;
use crate::serving::Serving;
use crate::site::Worker;
use crate::sockets::{Addresses, Sockets};

/// Between two looks for what is not used any more: connections to endpoints, and filters of earlier plans.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// What a worker is told while it runs.
#[derive(Debug)]
pub(crate) enum Order {
    /// Hand over what observers have kept, and say when it is done.
    Flush(oneshot::Sender<()>),
    /// Give descriptors of the sockets that are accepted on, each with its listener's name.
    Lend(oneshot::Sender<Vec<(String, OwnedFd)>>),
    /// Serve another plan, and say when that is so, or why a socket of it is not served.
    Switch(Box<Switch>, Done),
}

/// What is one worker's own, and what it has in common with the others.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) index: usize,
    pub(crate) explanations: Arc<Explanations>,
    /// Whether another process accepts on the same sockets.
    pub(crate) handed_over: Arc<AtomicBool>,
}

/// Told how it went.
pub(crate) type Done = oneshot::Sender<io::Result<()>>;

/// A plan to serve from now on.
#[derive(Debug)]
pub(crate) struct Switch {
    pub(crate) plan: Arc<Plan>,
    pub(crate) addresses: Arc<Addresses>,
    /// This worker's, of the addresses that are new.
    pub(crate) sockets: Sockets,
}

/// Runs one worker on the calling thread until it has drained: when `drain` is true, or has nobody who could make it so.
/// The first plan is served whole or not at all.
pub(crate) fn run(
    own: Own,
    (first, ready): (Switch, Done),
    orders: mpsc::Receiver<Order>,
    drain: watch::Receiver<bool>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(error))),
    };
    let local = LocalSet::new();
    let worker = Worker::new(own);
    runtime.block_on(local.run_until(async {
        let mut serving = Serving::new(&worker);
        let started = serving.switch(first);
        let is_up = started.is_ok();
        let _ = ready.send(started);
        if is_up {
            work(&worker, serving, orders, drain).await;
        }
    }));
    // Whatever has not ended by now is cut with the set.
    drop(local);
}

async fn work(
    worker: &Worker,
    mut serving: Serving,
    mut orders: mpsc::Receiver<Order>,
    mut drain: watch::Receiver<bool>,
) {
    let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
    let mut flusher = std::pin::pin!(worker.flush_always());
    let mut caller = std::pin::pin!(worker.slow_lane.call_always());
    let mut draining = false;
    loop {
        tokio::select! {
            ended = serving.ended() => if ended.is_none() { break },
            () = &mut flusher => {}
            () = &mut caller => {}
            _ = sweep.tick() => {
                serving.sweep();
                worker.flush();
            }
            _ = drain.wait_for(|drain| *drain), if !draining => {
                draining = true;
                serving.end();
            }
            Some(order) = orders.recv() => match order {
                Order::Flush(done) => {
                    worker.flush();
                    let _ = done.send(());
                }
                Order::Lend(lent) => {
                    let _ = lent.send(serving.lend());
                }
                // Too late: dropping it says so.
                Order::Switch(..) if draining => {}
                Order::Switch(next, done) => {
                    let _ = done.send(serving.switch(*next));
                }
            }
        }
    }
    worker.flush();
}
