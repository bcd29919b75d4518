//! The requests that one instance has made and not had the answers of yet.
//!
//! A guest starts a request and takes its answer in host calls; what happens in between is the matter of the worker, which
//! takes what was started out of here after the call and puts answers in before the next.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use palisade_contract::{Callout, FetchError, Reply};

/// The number by which a guest knows a request.
pub(crate) type Ticket = u64;

/// A request that was started in the call at hand.
pub(crate) struct Started {
    pub(crate) ticket: Ticket,
    pub(crate) callout: Callout,
    pub(crate) place: Place,
}

/// The requests of one instance.
#[derive(Default)]
pub(crate) struct Callouts {
    last: Ticket,
    started: Vec<Started>,
    cancelled: Vec<Ticket>,
    /// An answer counts against the plugin's limit until it is taken.
    answers: HashMap<Ticket, (Answer, Place)>,
}

/// What became of a request.
pub(crate) type Answer = Result<Reply, FetchError>;

impl Callouts {
    /// Keeps a request until the call is over, and gives its ticket.
    pub(crate) fn start(&mut self, callout: Callout, place: Place) -> Ticket {
        self.last += 1;
        self.started.push(Started { ticket: self.last, callout, place });
        self.last
    }

    /// What was started in the call that is over.
    pub(crate) fn started(&mut self) -> Vec<Started> {
        std::mem::take(&mut self.started)
    }

    /// What was given up in the call that is over.
    pub(crate) fn cancelled(&mut self) -> Vec<Ticket> {
        std::mem::take(&mut self.cancelled)
    }

    /// An answer for the next call to take.
    pub(crate) fn answered(&mut self, ticket: Ticket, answer: Answer, place: Place) {
        self.answers.insert(ticket, (answer, place));
    }

    pub(crate) fn take(&mut self, ticket: Ticket) -> Option<Answer> {
        self.answers.remove(&ticket).map(|(answer, _)| answer)
    }

    /// Nobody takes these answers any more.
    pub(crate) fn forget(&mut self, tickets: &[Ticket]) {
        self.answers.retain(|ticket, _| !tickets.contains(ticket));
    }

    pub(crate) fn cancel(&mut self, ticket: Ticket) {
        self.answers.remove(&ticket);
        let unsent = self.started.len();
        self.started.retain(|started| started.ticket != ticket);
        if self.started.len() == unsent {
            self.cancelled.push(ticket);
        }
    }
}

/// The requests that a plugin has under way, all workers together.
#[derive(Debug, Default)]
pub(crate) struct UnderWay(Arc<AtomicUsize>);

/// One of them, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

impl UnderWay {
    /// One more; none where there are as many as there may be.
    pub(crate) fn place(&self, max: usize) -> Option<Place> {
        let more = |count: usize| (count < max).then_some(count + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Place(self.0.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
