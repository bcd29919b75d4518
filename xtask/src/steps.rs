//! Numbered lines with the time since the start, so that a long command is seen to move.

use std::time::Instant;

/// The steps of one command.
#[derive(Debug)]
pub(crate) struct Steps {
    started: Instant,
    number: usize,
    total: usize,
}

impl Steps {
    pub(crate) fn new(total: usize) -> Self {
        Self { started: Instant::now(), number: 0, total }
    }

    /// Says what comes next.
    pub(crate) fn next(&mut self, what: &str) {
        self.number += 1;
        println!("[{}/{} after {:.1} s] {what}", self.number, self.total, self.started.elapsed().as_secs_f64());
    }
}
