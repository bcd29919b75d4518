//! Whether a request is let through to its upstream: by how many are under way, how many wait, and how those before have ended.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use palisade_contract::{CircuitRefusal, CircuitState};
use tokio::time::Instant;

use crate::upstream::breaker::{Breaker, Passage};

/// The limits of an upstream, all workers together.
#[derive(Debug)]
pub(crate) struct Circuit {
    config: palisade_config::Circuit,
    counts: Arc<Counts>,
    breaker: Option<Mutex<Breaker>>,
    /// Another one is in its place, or none.
    is_gone: AtomicBool,
}

/// What is under way, whatever the limits are meanwhile.
#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU32,
    pending: AtomicU32,
}

impl Circuit {
    /// The circuit as it is configured now. What is under way counts on; how it ended before counts where nothing has changed.
    pub(crate) fn next(config: Option<&palisade_config::Circuit>, before: Option<&Arc<Self>>) -> Option<Arc<Self>> {
        let config = config?;
        if let Some(before) = before.filter(|before| before.config == *config) {
            return Some(before.clone());
        }
        let breaker = config.error_rate.map(|limits| Mutex::new(Breaker::new(limits, Instant::now())));
        let counts = before.map_or_else(Arc::default, |before| before.counts.clone());
        Some(Arc::new(Self { config: config.clone(), counts, breaker, is_gone: AtomicBool::new(false) }))
    }

    /// Its state at the moment.
    pub(crate) fn state(&self) -> CircuitState {
        let state = |breaker: &Mutex<Breaker>| breaker.lock().unwrap_or_else(PoisonError::into_inner).state();
        self.breaker.as_ref().map_or(CircuitState::Closed, state)
    }

    /// Another one is in its place, or none: its state is nobody's any more.
    pub(crate) fn goes(&self) {
        self.is_gone.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }

    /// Lets one more request through, for as long as what comes back lives; and says what that changes.
    ///
    /// # Errors
    /// It is not let through.
    pub(crate) fn admit(self: &Arc<Self>) -> Result<(Admitted, Option<CircuitState>), CircuitRefusal> {
        let place = Place::take(&self.counts, Counted::Request, self.config.requests.unwrap_or(u32::MAX));
        let place = place.ok_or(CircuitRefusal::Requests)?;
        let (passage, changed) = match &self.breaker {
            None => (Some(Passage::Ordinary), None),
            Some(breaker) => breaker.lock().unwrap_or_else(PoisonError::into_inner).admit(Instant::now()),
        };
        let passage = passage.ok_or(CircuitRefusal::Open)?;
        Ok((Admitted { circuit: self.clone(), passage: Some(passage), _place: place }, changed))
    }

    /// Lets one more request wait for a connection, for as long as what comes back lives.
    ///
    /// # Errors
    /// As many wait as may.
    pub(crate) fn pend(&self) -> Result<Place, CircuitRefusal> {
        Place::take(&self.counts, Counted::Pending, self.config.pending).ok_or(CircuitRefusal::Pending)
    }

    /// Whether any request may wait for a connection.
    pub(crate) fn has_line(&self) -> bool {
        self.config.pending > 0
    }

    /// How long a request may wait for a connection.
    pub(crate) fn pending_timeout(&self) -> Duration {
        self.config.pending_timeout
    }
}

/// A request that was let through.
#[derive(Debug)]
pub(crate) struct Admitted {
    circuit: Arc<Circuit>,
    /// None once it is known how it ended.
    passage: Option<Passage>,
    _place: Place,
}

impl Admitted {
    /// It has ended so, as far as its upstream is concerned; and what that changes.
    pub(crate) fn ended(&mut self, is_good: bool) -> Option<CircuitState> {
        let (passage, breaker) = self.passage.take().zip(self.circuit.breaker.as_ref())?;
        breaker.lock().unwrap_or_else(PoisonError::into_inner).ended(passage, is_good, Instant::now())
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if let Some((passage, breaker)) = self.passage.take().zip(self.circuit.breaker.as_ref()) {
            breaker.lock().unwrap_or_else(PoisonError::into_inner).given_up(passage);
        }
    }
}

/// One of as many places as there may be.
#[derive(Debug)]
pub(crate) struct Place {
    counts: Arc<Counts>,
    of: Counted,
}

#[derive(Debug, Clone, Copy)]
enum Counted {
    Request,
    Pending,
}

impl Counts {
    fn of(&self, counted: Counted) -> &AtomicU32 {
        match counted {
            Counted::Request => &self.requests,
            Counted::Pending => &self.pending,
        }
    }
}

impl Place {
    fn take(counts: &Arc<Counts>, of: Counted, limit: u32) -> Option<Self> {
        let taken = |taken: u32| (taken < limit).then(|| taken + 1);
        counts.of(of).fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).ok()?;
        Some(Self { counts: counts.clone(), of })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.counts.of(self.of).fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(requests: u32, pending: u32) -> palisade_config::Circuit {
        let pending_timeout = Duration::from_secs(1);
        palisade_config::Circuit { requests: Some(requests), pending, pending_timeout, error_rate: None }
    }

    #[test]
    fn no_more_are_under_way_than_may_be_and_a_place_is_free_again() {
        let circuit = Circuit::next(Some(&config(2, 1)), None).expect("a circuit");
        let first = circuit.admit().expect("a place");
        let second = circuit.admit().expect("a place");
        assert_eq!(circuit.admit().err(), Some(CircuitRefusal::Requests));
        drop(first);
        let third = circuit.admit().expect("a place");
        let waiting = circuit.pend().expect("a place");
        assert_eq!(circuit.pend().err(), Some(CircuitRefusal::Pending));
        // Other limits, and the same exchanges under way.
        let next = Circuit::next(Some(&config(3, 1)), Some(&circuit)).expect("a circuit");
        let fourth = next.admit().expect("a place");
        assert_eq!(next.admit().err(), Some(CircuitRefusal::Requests));
        drop((second, third, fourth, waiting));
        assert!((0..3).map(|_| next.admit()).collect::<Vec<_>>().iter().all(Result::is_ok));
        assert!(Circuit::next(None, Some(&next)).is_none());
    }
}
