//! Requests that wait for room on the connections to one endpoint, in the order in which they came.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

use crate::upstream::Pool;

/// Requests that wait for the same.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: Cell<usize>,
    room: Notify,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.get() == 0
    }

    /// There may be room for one of them.
    pub(super) fn has_room_again(&self) {
        if !self.is_empty() {
            self.room.notify_one();
        }
    }
}

/// A request that waits for room on a connection.
#[derive(Debug)]
pub(crate) struct Waiting {
    pool: Rc<Pool>,
    line: Rc<Line>,
}

impl Waiting {
    pub(super) fn begin(pool: &Rc<Pool>, line: &Rc<Line>) -> Self {
        line.waiting.set(line.waiting.get() + 1);
        Self { pool: pool.clone(), line: line.clone() }
    }

    /// Ready when there may be some.
    pub(crate) async fn room(&self) {
        self.line.room.notified().await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.line.waiting.set(self.line.waiting.get().saturating_sub(1));
        // What it was told of may be of use to the next one.
        self.pool.has_room_again();
    }
}
