//! A line in the log for connections that were refused or cut, though never more of them than a reader can bear.

use std::cell::Cell;
use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use palisade_contract::Refusal;
use tokio::time::Instant;

/// Between two lines for the same reason, on one worker.
const PAUSE: Duration = Duration::from_secs(1);

/// When each reason was last told, and how often it was not since.
#[derive(Debug, Default)]
pub(crate) struct Refusals([Cell<(Option<Instant>, u64)>; Refusal::ALL.len()]);

impl Refusals {
    /// A connection of this client to this listener was refused or cut.
    pub(crate) fn note(&self, listener: &str, client: SocketAddr, why: Refusal, detail: Option<&dyn Display>) {
        let Some(told) = Refusal::ALL.iter().position(|reason| *reason == why).and_then(|index| self.0.get(index))
        else {
            return;
        };
        let now = Instant::now();
        let (last, unsaid) = told.get();
        if last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            told.set((last, unsaid + 1));
            return;
        }
        told.set((Some(now), 0));
        let detail = detail.map(|detail| format!(": {detail}")).unwrap_or_default();
        tracing::warn!(listener, %client, reason = why.as_str(), unsaid, "a connection was refused{detail}");
    }
}
