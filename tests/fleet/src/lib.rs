//! A fleet of endpoints and a way of choosing among them, in; how long requests took, out. No sockets, no threads, no time but the
//! fleet's own: the same seed gives the same result to the last digit, on every machine.
//!
//! Requests come at random (Poisson). Each endpoint works on so many of them at once, and lets others wait in the order in which they
//! came. How long the work takes is random as well (log-normal, as requests' times are), and longer on slow endpoints.
//! Whoever chooses sees what a balancer sees, and no more: the requests under way to each endpoint, and its latency as
//! the host's moving average has it.

#![forbid(unsafe_code)]

mod chance;
mod oracle;
mod queue;

pub use oracle::{Oracle, least_completion};

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use palisade_contract::PeakEwma;

use crate::chance::Chance;
use crate::queue::{Job, Queue};

/// The fleet, and what is asked of it.
#[derive(Debug, Clone, Copy)]
pub struct Fleet {
    /// How many endpoints there are.
    pub endpoints: usize,
    /// How many times longer the first of them takes for everything.
    pub first_is_slower: f64,
    /// Requests that an endpoint works on at once.
    pub servers: usize,
    /// The mean of a request's work on an endpoint that is not slow, in seconds.
    pub mean_seconds: f64,
    /// How much requests differ: the standard deviation of the logarithm of their work.
    pub spread: f64,
    /// The share of all that the fleet could do that is asked of it.
    pub load: f64,
    /// Requests that are asked, after as many that are not counted.
    pub requests: usize,
    /// Where chance begins.
    pub seed: u64,
}

impl Default for Fleet {
    /// Twenty endpoints, one of them ten times slower, and 60 % of what they can do.
    fn default() -> Self {
        Self {
            endpoints: 20,
            first_is_slower: 10.0,
            servers: 8,
            mean_seconds: 0.010,
            spread: 0.5,
            load: 0.6,
            requests: 100_000,
            seed: 1,
        }
    }
}

/// An endpoint as who chooses sees it.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Requests under way to it.
    pub in_flight: u32,
    /// Its latency in microseconds: zero while unknown.
    pub latency_micros: u32,
}

/// How long requests took, and where they went.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// In seconds, in rising order.
    times: Vec<f64>,
    /// How many went to each endpoint.
    pub picks: Vec<usize>,
}

impl Outcome {
    /// The time that so many of a hundred requests do not take longer than, in seconds.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> f64 {
        let at = (self.times.len() * percent / 100).min(self.times.len().saturating_sub(1));
        self.times.get(at).copied().unwrap_or(f64::NAN)
    }

    /// The share of all requests that went to the first endpoint, which is the slow one.
    #[must_use]
    pub fn share_of_first(&self) -> f64 {
        chance::float(self.picks.first().copied().unwrap_or(0)) / chance::float(self.picks.iter().sum())
    }

    /// The mean of all times, in seconds.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.times.iter().sum::<f64>() / chance::float(self.times.len())
    }
}

/// What is chosen by what is seen: the index of an endpoint.
pub trait Choose {
    /// The endpoint for the next request. `oracle` knows what no balancer can.
    fn choose(&mut self, seen: &[Seen], oracle: &Oracle<'_>) -> usize;
}

impl<F: FnMut(&[Seen]) -> usize> Choose for F {
    fn choose(&mut self, seen: &[Seen], _: &Oracle<'_>) -> usize {
        self(seen)
    }
}

impl Fleet {
    /// Asks all requests, each of the endpoint that is chosen for it.
    pub fn ask(&self, choose: &mut dyn Choose) -> Outcome {
        let mut run = Run::new(self);
        let mut at = 0.0;
        for number in 0..self.requests * 2 {
            at += run.chance.exponential(1.0 / self.rate());
            run.finish_until(at);
            let work = run.chance.log_normal(self.mean_seconds, self.spread);
            run.ask(choose, Job { came: at, work, counts: number >= self.requests });
        }
        run.finish_until(f64::INFINITY);
        run.times.sort_unstable_by(f64::total_cmp);
        Outcome { times: run.times, picks: run.picks }
    }

    /// Requests in a second.
    fn rate(&self) -> f64 {
        let as_many = chance::float(self.endpoints) - 1.0 + 1.0 / self.first_is_slower;
        self.load * as_many * chance::float(self.servers) / self.mean_seconds
    }
}

/// A fleet at work.
struct Run {
    chance: Chance,
    queues: Vec<Queue>,
    latencies: Vec<PeakEwma>,
    /// When which endpoint is done with the next of its requests.
    ends: BinaryHeap<Reverse<End>>,
    seen: Vec<Seen>,
    times: Vec<f64>,
    picks: Vec<usize>,
    mean_seconds: f64,
}

impl Run {
    fn new(fleet: &Fleet) -> Self {
        let slower = |index| if index == 0 { fleet.first_is_slower } else { 1.0 };
        Self {
            chance: Chance::new(fleet.seed),
            queues: (0..fleet.endpoints).map(|index| Queue::new(fleet.servers, slower(index))).collect(),
            latencies: vec![PeakEwma::default(); fleet.endpoints],
            ends: BinaryHeap::new(),
            seen: Vec::new(),
            times: Vec::new(),
            picks: vec![0; fleet.endpoints],
            mean_seconds: fleet.mean_seconds,
        }
    }

    fn ask(&mut self, choose: &mut dyn Choose, job: Job) {
        let now = millis(job.came);
        self.seen.clear();
        self.seen.extend(
            self.queues
                .iter()
                .zip(&self.latencies)
                .map(|(queue, latency)| Seen { in_flight: queue.in_flight(), latency_micros: latency.micros(now) }),
        );
        let oracle = Oracle { queues: &self.queues, mean_seconds: self.mean_seconds };
        let index = choose.choose(&self.seen, &oracle);
        let Some(queue) = self.queues.get_mut(index) else { return };
        if let Some(pick) = self.picks.get_mut(index).filter(|_| job.counts) {
            *pick += 1;
        }
        let came = job.came;
        if let Some(started) = queue.take(job) {
            self.ends.push(Reverse(End { at: came + queue.takes(&started), index, job: started }));
        }
    }

    /// All that ends up to this time.
    fn finish_until(&mut self, time: f64) {
        while let Some(Reverse(end)) = self.ends.peek().filter(|end| end.0.at <= time).copied() {
            self.ends.pop();
            let took = end.at - end.job.came;
            if end.job.counts {
                self.times.push(took);
            }
            if let Some(latency) = self.latencies.get_mut(end.index) {
                *latency = latency.observed(chance::whole(took * 1e6), millis(end.at));
            }
            let Some(queue) = self.queues.get_mut(end.index) else { continue };
            if let Some(next) = queue.done() {
                self.ends.push(Reverse(End { at: end.at + queue.takes(&next), index: end.index, job: next }));
            }
        }
    }
}

/// A request's end.
#[derive(Debug, Clone, Copy)]
struct End {
    at: f64,
    index: usize,
    job: Job,
}

impl PartialEq for End {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for End {}

impl PartialOrd for End {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for End {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.total_cmp(&other.at).then(self.index.cmp(&other.index))
    }
}

fn millis(seconds: f64) -> u32 {
    chance::whole(seconds * 1e3)
}
