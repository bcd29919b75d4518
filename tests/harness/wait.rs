//! Waiting for something to be so, without guessing how long it takes.

use std::time::{Duration, Instant};

/// How long anything may take on a machine that has much else to do.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Asks again, every few milliseconds, until it is so.
///
/// # Panics
/// It was not so for [`LIMIT`].
pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < LIMIT, "waited {LIMIT:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
