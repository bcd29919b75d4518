//! As `phase`, for streams: what a plugin keeps for each of them is kept here, from its beginning to its end.

use std::{any::Any, collections::BTreeMap};

use crate::{
    Error, Stream, StreamFilter, StreamFlow, StreamPiece, StreamWish,
    bindings::stream_filter::exports::palisade::plugin::stream_filter as wire, phase::report,
};

/// What one instance keeps for the streams that are under way.
#[derive(Debug, Default)]
pub(crate) struct States(BTreeMap<u64, Box<dyn Any>>);

impl States {
    /// How many streams are under way.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

pub(crate) fn on_open<P: StreamFilter>(plugin: &mut P, states: &mut States, opened: wire::Opened) -> wire::Wish {
    let exchange = opened.exchange;
    match plugin.on_stream(&mut Stream::new(opened)) {
        Ok(StreamWish::Skip) => wire::Wish::Skip,
        Ok(StreamWish::Close) => wire::Wish::Close,
        Ok(StreamWish::Watch { interest, state }) => {
            states.0.insert(exchange, Box::new(state));
            wire::Wish::Watch(interest)
        }
        Err(error) => {
            report(&error);
            wire::Wish::Failed
        }
    }
}

pub(crate) fn on_bytes<P: StreamFilter>(plugin: &mut P, states: &mut States, piece: StreamPiece) -> wire::Verdict {
    let (exchange, mut piece) = (piece.exchange().number(), piece);
    let settled = match states.0.get_mut(&exchange).and_then(|state| state.downcast_mut()) {
        Some(state) => plugin.on_bytes(state, &mut piece),
        None => Err(Error::new("bytes of a stream that did not begin")),
    };
    let settled = settled.and_then(|flow| match flow {
        StreamFlow::Pass => piece.write().map(|()| wire::Verdict::Pass),
        StreamFlow::PassRest => piece.write().map(|()| wire::Verdict::PassRest),
        // Both together are a failure, which the host tells apart.
        StreamFlow::Hold => piece.write().map(|()| wire::Verdict::Hold),
        StreamFlow::Close => Ok(wire::Verdict::Close),
    });
    let verdict = settled.unwrap_or_else(|error| {
        report(&error);
        wire::Verdict::Failed
    });
    if matches!(verdict, wire::Verdict::Close | wire::Verdict::Failed) {
        states.0.remove(&exchange);
    }
    verdict
}

pub(crate) fn on_left(states: &mut States, exchange: u64) {
    states.0.remove(&exchange);
}
