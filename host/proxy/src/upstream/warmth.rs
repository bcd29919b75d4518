//! Connections that are kept open whether they are used or not, so that no request has to wait for one to be made.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use crate::upstream::Pool;
use crate::upstream::connect::connect_anew;

/// What one pool knows of the connections that it makes before anybody asks.
#[derive(Debug, Default)]
pub(super) struct Warmth {
    is_at_work: Cell<bool>,
    failures: Cell<u32>,
    not_before: Cell<Option<Instant>>,
}

impl Warmth {
    fn is_to_wait(&self) -> bool {
        self.is_at_work.get() || self.not_before.get().is_some_and(|time| Instant::now() < time)
    }

    fn failed(&self) {
        let failures = self.failures.get();
        self.failures.set(failures.saturating_add(1));
        let pause = PAUSE.saturating_mul(1_u32 << failures.min(5));
        self.not_before.set(Some(Instant::now() + pause));
    }

    fn made(&self) {
        self.failures.set(0);
        self.not_before.set(None);
    }
}

/// After the first failure; doubled up to half a minute.
const PAUSE: Duration = Duration::from_secs(1);

/// Makes connections until as many are open as are always to be, in a task of their own, and one after the other. Asked again
/// every second. Over HTTP/2 one is enough for many requests, and it is still as many as is written.
pub(super) fn keep_warm(pool: &Rc<Pool>) {
    let wanted = pool.upstream.config.warm_connections;
    if wanted <= pool.open_now() || pool.is_retired() || pool.warmth.is_to_wait() {
        return;
    }
    pool.warmth.is_at_work.set(true);
    let pool = pool.clone();
    tokio::task::spawn_local(async move {
        while pool.open_now() < wanted && !pool.is_retired() {
            // What goes wrong has been counted as the endpoint's failure.
            match connect_anew(&pool).await {
                Ok(connection) => connection.rest(),
                Err(_) => {
                    pool.warmth.failed();
                    break;
                }
            }
            pool.warmth.made();
        }
        pool.warmth.is_at_work.set(false);
    });
}
