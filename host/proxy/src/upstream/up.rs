//! A connection to an endpoint for as long as it is there: counted, and of an age.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use crate::moment;
use crate::upstream::Pool;
use crate::upstream::pick::Random;

/// A connection that is up, which its endpoint's monitor hears of. It lasts as long as anybody uses the connection: the
/// task that speaks HTTP on it, or a tunnel that came after.
#[derive(Debug)]
pub(crate) struct Up {
    open: OpenConnection,
    /// From when on it gets no new exchange.
    until: Option<Instant>,
}

impl Up {
    pub(crate) fn new(open: OpenConnection) -> Rc<Self> {
        open.0.monitor.connected();
        let until = open.0.upstream.config.connection_age.map(|age| Instant::now() + aged(age, &open.0.random));
        Rc::new(Self { open, until })
    }

    /// Whether it is as old as one may become that is used again.
    pub(crate) fn is_old(&self) -> bool {
        self.until.is_some_and(|until| until <= moment::now())
    }
}

/// Up to a tenth less, so that connections that were made together are not all made anew together.
fn aged(age: Duration, random: &Random) -> Duration {
    let parts = u32::try_from(random.below(100)).unwrap_or_default();
    age - age / 1_000 * parts
}

impl Drop for Up {
    fn drop(&mut self) {
        self.open.0.monitor.disconnected();
    }
}

/// A connection that counts against its endpoint's limit until it is closed.
#[derive(Debug)]
pub(crate) struct OpenConnection(Rc<Pool>);

impl OpenConnection {
    pub(super) fn of(pool: &Rc<Pool>) -> Self {
        Self(pool.clone())
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.closed();
    }
}
