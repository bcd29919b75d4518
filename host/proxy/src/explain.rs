//! Requests that are to be explained: a token that the admin side gave out comes in once, with one request, and what that
//! request met goes back under the same token.
//!
//! While no token is out, a request pays for one look at a counter.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use palisade_contract::{Ended, PluginName, Trace, TraceStep};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The header that a token comes in. It is taken off: neither plugins nor endpoints see it.
pub const EXPLAIN: HeaderName = HeaderName::from_static("x-palisade-explain");

/// Tokens and explanations that are kept at a time, and for how long.
const SLOTS_MAX: usize = 16;
const KEPT: Duration = Duration::from_secs(60);

/// What one request met, from its head to its end.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// Every call into a plugin, and what the host did, in order.
    pub steps: Vec<TraceStep>,
    /// How it ended.
    pub ended: Ended,
    /// What was asked, as the client wrote it: authority and target. Empty where the head was refused.
    pub asked: (String, String),
    /// The plugin that answered, closed or failed in the upstream's place.
    pub decided_by: Option<String>,
    /// Why the host answered in the upstream's place, or why the answer broke off.
    pub error: Option<String>,
    /// The connection filters, which all had accepted the connection before the request came.
    pub accepted_by: Vec<String>,
    /// Plugins that observe the exchange.
    pub observed_by: Vec<String>,
}

/// Why there is no explanation under a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unexplained {
    /// Nobody gave it out, it is too old, or its explanation was fetched already.
    #[error("no such token: one is good for one request within 60 s, and what it explains is kept as long")]
    Unknown,
    /// Its request has not come.
    #[error("no request has come with this token")]
    NotAsked,
    /// Its request has not ended.
    #[error("the request with this token has not ended")]
    NotEnded,
}

/// Tokens that are out, and what came of them. Shared by all workers and the admin side.
#[derive(Debug, Default)]
pub struct Explanations {
    /// How many are armed, for a look without the lock.
    armed: AtomicUsize,
    slots: Mutex<HashMap<String, Slot>>,
    changed: Notify,
}

#[derive(Debug)]
struct Slot {
    since: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    Armed,
    UnderWay,
    Done(Box<Explanation>),
}

impl Slot {
    /// What is under way is kept until it ends, and from then on as long as anything.
    fn is_old(&self) -> bool {
        !matches!(self.state, State::UnderWay) && self.since.elapsed() >= KEPT
    }
}

impl Explanations {
    /// Gives out a token for one request. None where there is no randomness to make one of, or where there are too many.
    #[must_use]
    pub fn arm(&self) -> Option<String> {
        let mut bytes = [0_u8; 16];
        crate::tls::provider().secure_random.fill(&mut bytes).ok()?;
        let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut slots = self.slots();
        slots.retain(|_, slot| !slot.is_old());
        if slots.len() >= SLOTS_MAX {
            self.count(&slots);
            return None;
        }
        slots.insert(token.clone(), Slot { since: Instant::now(), state: State::Armed });
        self.count(&slots);
        Some(token)
    }

    /// What the request with this token met. Waits for its end for at most so long; an explanation is given once.
    ///
    /// # Errors
    /// See [`Unexplained`].
    pub async fn fetch(&self, token: &str, patience: Duration) -> Result<Box<Explanation>, Unexplained> {
        let until = Instant::now() + patience;
        loop {
            let changed = self.changed.notified();
            let why = match self.look(token) {
                Ok(explanation) => return Ok(explanation),
                Err(Unexplained::Unknown) => return Err(Unexplained::Unknown),
                Err(why) => why,
            };
            if tokio::time::timeout_at(until, changed).await.is_err() {
                return Err(why);
            }
        }
    }

    fn look(&self, token: &str) -> Result<Box<Explanation>, Unexplained> {
        let mut slots = self.slots();
        match slots.remove(token) {
            None => Err(Unexplained::Unknown),
            Some(slot) if slot.is_old() => Err(Unexplained::Unknown),
            Some(Slot { state: State::Done(explanation), .. }) => Ok(explanation),
            Some(slot) => {
                let why = match slot.state {
                    State::Armed => Unexplained::NotAsked,
                    State::UnderWay | State::Done(_) => Unexplained::NotEnded,
                };
                slots.insert(token.to_owned(), slot);
                Err(why)
            }
        }
    }

    /// Where the request whose fields these are is to be explained: the field is taken off, and the token with it.
    pub(crate) fn claim(self: &Arc<Self>, headers: &mut HeaderMap) -> Option<Box<Explaining>> {
        if self.armed.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let token = headers.get(EXPLAIN)?.to_str().ok()?.to_owned();
        let mut slots = self.slots();
        let slot = slots.get_mut(&token).filter(|slot| matches!(slot.state, State::Armed))?;
        if slot.is_old() {
            return None;
        }
        slot.state = State::UnderWay;
        self.count(&slots);
        drop(slots);
        headers.remove(EXPLAIN);
        Some(Box::new(Explaining { at: self.clone(), token, trace: Trace::default(), asked: Default::default() }))
    }

    fn count(&self, slots: &HashMap<String, Slot>) {
        let armed = slots.values().filter(|slot| matches!(slot.state, State::Armed)).count();
        self.armed.store(armed, Ordering::Relaxed);
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is being explained.
pub(crate) struct Explaining {
    at: Arc<Explanations>,
    token: String,
    pub(crate) trace: Trace,
    /// Authority and target.
    pub(crate) asked: (String, String),
}

/// What a record knows at its end.
pub(crate) struct AtEnd<'a> {
    pub(crate) ended: &'a Ended,
    pub(crate) plugin: Option<&'a PluginName>,
    pub(crate) error: Option<&'a str>,
    pub(crate) accepted_by: Vec<String>,
    pub(crate) observed_by: Vec<String>,
}

impl Explaining {
    /// Something that the host did, and how long it took.
    pub(crate) fn host(&self, stage: &'static str, decision: String, time: Option<Duration>) {
        self.trace.add(TraceStep { stage, decision, time, ..TraceStep::default() });
    }

    /// It has ended: whoever gave out the token can have it explained.
    pub(crate) fn end(self, end: AtEnd<'_>) {
        let explanation = Explanation {
            steps: self.trace.take(),
            ended: end.ended.clone(),
            asked: self.asked,
            decided_by: end.plugin.map(|plugin| plugin.to_string()),
            error: end.error.map(str::to_owned),
            accepted_by: end.accepted_by,
            observed_by: end.observed_by,
        };
        if let Some(slot) = self.at.slots().get_mut(&self.token) {
            *slot = Slot { since: Instant::now(), state: State::Done(Box::new(explanation)) };
        }
        self.at.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn with(token: &str) -> HeaderMap {
        HeaderMap::from_iter([(EXPLAIN, HeaderValue::from_str(token).expect("hex"))])
    }

    #[test]
    fn a_token_is_good_once_and_only_if_it_was_given_out() {
        let explanations = Arc::new(Explanations::default());
        assert!(explanations.claim(&mut with("0")).is_none());
        let token = explanations.arm().expect("a token");
        assert_eq!(explanations.look(&token).err(), Some(Unexplained::NotAsked));
        let mut other = with("0123");
        assert!(explanations.claim(&mut other).is_none() && other.contains_key(EXPLAIN));
        let mut headers = with(&token);
        assert!(explanations.claim(&mut headers).is_some() && headers.is_empty());
        assert!(explanations.claim(&mut with(&token)).is_none());
        assert_eq!(explanations.look(&token).err(), Some(Unexplained::NotEnded));
        assert_eq!(explanations.look("no").err(), Some(Unexplained::Unknown));
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_are_bounded_and_grow_old() {
        let explanations = Arc::new(Explanations::default());
        let tokens: Vec<String> = (0..SLOTS_MAX).filter_map(|_| explanations.arm()).collect();
        assert_eq!((tokens.len(), explanations.arm()), (SLOTS_MAX, None));
        tokio::time::advance(KEPT).await;
        assert!(explanations.claim(&mut with(&tokens[0])).is_none());
        assert!(explanations.arm().is_some());
        let waited = explanations.fetch(&tokens[1], Duration::from_secs(1)).await;
        assert_eq!(waited.err(), Some(Unexplained::Unknown));
    }
}
