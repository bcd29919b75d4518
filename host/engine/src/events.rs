//! What an observer is told, collected until there is enough of it for a call.

use palisade_contract::{Begun, Ended};

use crate::abi;

/// Events that are handed to an observer at a time.
const BATCH: usize = 64;

/// What was not handed over yet, at most one batch of each kind.
#[derive(Default)]
pub(crate) struct Events {
    begun: Vec<abi::Begun>,
    ended: Vec<abi::Ended>,
}

impl Events {
    /// Keeps the event, and says whether there is a batch of them.
    pub(crate) fn began(&mut self, begun: &Begun) -> bool {
        self.begun.push(begun.into());
        self.begun.len() >= BATCH
    }

    /// Keeps the event, and says whether there is a batch of them.
    pub(crate) fn ended(&mut self, ended: &Ended) -> bool {
        self.ended.push(ended.into());
        self.ended.len() >= BATCH
    }

    /// Hands over what has begun, if anything has.
    pub(crate) fn hand_over_begun(&mut self, to: impl FnOnce(&[abi::Begun])) {
        hand_over(&mut self.begun, to);
    }

    /// Hands over what has ended, if anything has.
    pub(crate) fn hand_over_ended(&mut self, to: impl FnOnce(&[abi::Ended])) {
        hand_over(&mut self.ended, to);
    }
}

/// The memory stays for the next batch.
fn hand_over<T>(events: &mut Vec<T>, to: impl FnOnce(&[T])) {
    if !events.is_empty() {
        to(events);
        events.clear();
    }
}
