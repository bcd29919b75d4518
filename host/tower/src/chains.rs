//! Threads with one chain each, and exchanges handed to them in turn.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use palisade_contract::{Chain, Filter, Plugin, Side, WorkerServices};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;

use crate::exchange::{self, Job};
use crate::layer::Options;

/// Exchanges that wait for their thread to take them; more wait where they are.
const JOBS_MAX: usize = 256;

/// How long observers' events are kept, so that many are handed over in one call.
const FLUSH_AFTER: Duration = Duration::from_millis(5);

/// Threads with one chain each.
#[derive(Debug)]
pub(crate) struct Chains {
    threads: Vec<Sender<Job>>,
    next: AtomicUsize,
    filters_request_bodies: bool,
    filters_response_bodies: bool,
}

impl Chains {
    /// Waits until every thread is ready.
    pub(crate) fn start(plugins: &[Arc<dyn Plugin>], options: &Options) -> io::Result<Self> {
        let mut chains = Self {
            threads: Vec::new(),
            next: AtomicUsize::new(0),
            filters_request_bodies: false,
            filters_response_bodies: false,
        };
        for number in 0..options.threads.get() {
            let (jobs, taken) = channel(JOBS_MAX);
            let (ready, is_ready) = sync_channel(1);
            let plugins = plugins.to_vec();
            let thread = std::thread::Builder::new().name(format!("plugins-{number}")).stack_size(options.stack_bytes);
            thread.spawn(move || run(&plugins, taken, &ready))?;
            let filters = is_ready.recv().map_err(|_| io::Error::other("a thread for plugins did not start"))??;
            (chains.filters_request_bodies, chains.filters_response_bodies) = filters;
            chains.threads.push(jobs);
        }
        Ok(chains)
    }

    /// Whether any plugin wants bodies of this side.
    pub(crate) fn filters_bodies(&self, side: Side) -> bool {
        match side {
            Side::Request => self.filters_request_bodies,
            Side::Response => self.filters_response_bodies,
        }
    }

    /// Gives an exchange to a thread. Where that is gone, whoever waits for a decision hears that there is none.
    pub(crate) async fn give(&self, job: Job) {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some(thread) = next.checked_rem(self.threads.len()).and_then(|index| self.threads.get(index)) {
            let _ = thread.send(job).await;
        }
    }
}

type Ready = SyncSender<io::Result<(bool, bool)>>;

/// One thread's work: until nobody can give it exchanges any more and the last one is over.
fn run(plugins: &[Arc<dyn Plugin>], jobs: Receiver<Job>, ready: &Ready) {
    let runtime = match Builder::new_current_thread().enable_time().build_local(LocalOptions::default()) {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(error))),
    };
    runtime.block_on(async {
        let filters: Vec<Rc<dyn Filter>> =
            plugins.iter().map(|plugin| plugin.open(&WorkerServices::default())).collect();
        let chain = Chain::new(&filters);
        let _ = ready.send(Ok((chain.filters_bodies(Side::Request), chain.filters_bodies(Side::Response))));
        serve(chain, jobs).await;
    });
}

async fn serve(chain: Rc<Chain>, mut jobs: Receiver<Job>) {
    let mut under_way = JoinSet::new();
    let mut flush = tokio::time::interval(FLUSH_AFTER);
    flush.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut is_open, mut has_news) = (true, false);
    while is_open || !under_way.is_empty() {
        tokio::select! {
            job = jobs.recv(), if is_open => match job {
                Some(job) => {
                    under_way.spawn_local(exchange::run(chain.clone(), job));
                    has_news = chain.is_observed();
                }
                None => is_open = false,
            },
            Some(_) = under_way.join_next() => has_news = chain.is_observed(),
            _ = flush.tick(), if has_news => {
                chain.flush();
                has_news = false;
            }
        }
    }
    chain.flush();
}
