//! Whether the bytes of an upload that come are progress.

use std::time::Duration;

use tokio::time::Instant;

/// How fast a body comes whose length was announced: what is sent at once must not be sent byte by byte. Others may be streams, whose
/// pauses mean something.
#[derive(Debug)]
pub(super) struct Pace {
    /// The bytes a second that are fast enough, on average over the time that a client may make no progress.
    rate: u64,
    /// What came since it was last fast enough.
    bytes: u64,
    /// When it last came, or was wanted.
    at: Instant,
}

/// After a pause as long as this it was not the client that was waited for.
const OUR_PAUSE: Duration = Duration::from_secs(1);

impl Pace {
    /// Of a body that begins now, with so many bytes a second.
    pub(super) fn new(rate: u64) -> Self {
        Self { rate, bytes: 0, at: Instant::now() }
    }

    /// So many bytes came: whether that is progress.
    pub(super) fn is_progress(&mut self, bytes: usize, patience: Duration) -> bool {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.at = Instant::now();
        let millis = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        let is_enough = self.bytes >= millis.saturating_mul(self.rate) / 1_000;
        if is_enough {
            self.bytes = 0;
        }
        is_enough
    }

    /// More is wanted: whether its time begins anew, because it was not wanted for a while.
    pub(super) fn begins_anew(&mut self) -> bool {
        let paused = std::mem::replace(&mut self.at, Instant::now()).elapsed() >= OUR_PAUSE;
        if paused {
            self.bytes = 0;
        }
        paused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn bytes_are_progress_when_there_are_enough_of_them() {
        let mut pace = Pace::new(128);
        assert!(!pace.is_progress(1_279, PATIENCE));
        assert!(pace.is_progress(1, PATIENCE), "128 bytes for each second of patience");
        assert!(!pace.is_progress(1_000, PATIENCE), "and as many again");
        assert!(Pace::new(128).is_progress(0, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nothing_was_wanted_is_not_the_clients() {
        let mut pace = Pace::new(128);
        assert!(!pace.is_progress(1_000, PATIENCE));
        tokio::time::advance(OUR_PAUSE / 2).await;
        assert!(!pace.begins_anew());
        tokio::time::advance(OUR_PAUSE).await;
        assert!(pace.begins_anew());
        assert!(!pace.is_progress(1_000, PATIENCE), "what came before the pause is not counted again");
        assert!(!pace.begins_anew());
    }
}
