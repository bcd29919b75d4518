//! One endpoint: requests, in; which one is worked on next, out.

use std::collections::VecDeque;

use crate::chance::float;

/// A request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    /// When it came, in seconds.
    pub(crate) came: f64,
    /// How long it takes where nothing is slow, in seconds.
    pub(crate) work: f64,
    /// Whether its time counts.
    pub(crate) counts: bool,
}

/// One endpoint.
#[derive(Debug)]
pub(crate) struct Queue {
    servers: usize,
    slower: f64,
    busy: usize,
    waiting: VecDeque<Job>,
}

impl Queue {
    pub(crate) fn new(servers: usize, slower: f64) -> Self {
        Self { servers, slower, busy: 0, waiting: VecDeque::new() }
    }

    /// Takes a request; it comes back where it is worked on at once.
    pub(crate) fn take(&mut self, job: Job) -> Option<Job> {
        if self.busy < self.servers {
            self.busy += 1;
            return Some(job);
        }
        self.waiting.push_back(job);
        None
    }

    /// One is done: the next, if one waits.
    pub(crate) fn done(&mut self) -> Option<Job> {
        let next = self.waiting.pop_front();
        self.busy -= usize::from(next.is_none());
        next
    }

    /// How long a request takes here once it is worked on.
    pub(crate) fn takes(&self, job: &Job) -> f64 {
        job.work * self.slower
    }

    /// Those that are worked on, and those that wait.
    pub(crate) fn in_flight(&self) -> u32 {
        u32::try_from(self.busy + self.waiting.len()).unwrap_or(u32::MAX)
    }

    /// How long a further request will take from now on, by what can be known beforehand: that of a mean one.
    pub(crate) fn expected(&self, mean_seconds: f64) -> f64 {
        let free = self.busy < self.servers;
        let waits = if free { 0.0 } else { float(self.waiting.len() + 1) / float(self.servers) };
        mean_seconds * self.slower * (1.0 + waits)
    }
}
