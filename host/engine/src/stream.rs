//! One connection that carries anything on its way through a plugin: bytes in, the plugin's verdict and its bytes out.
//!
//! All calls about one stream go to one instance. Where that is gone, because another call broke it, what the plugin knew of
//! the stream is gone with it, and the plugin has failed for this stream.

use std::rc::Rc;

use bytes::Bytes;
use palisade_contract::{
    Edits, Exchange, ExchangeId, Failure, Phase, StreamFilter, StreamPiece, StreamVerdict, StreamWish,
};

use crate::abi::stream as wire;
use crate::filter::Slot;
use crate::state::PieceAtHand;

/// Asks the plugin what it wants to be shown of a stream.
///
/// # Errors
/// The plugin failed.
pub(crate) fn ask(slot: Rc<Slot>, exchange: &mut Box<Exchange>) -> Result<StreamWish, Failure> {
    let mut number = 0;
    let wish = slot.with_exchange(Phase::Stream, exchange, |instance| {
        number = instance.number;
        let Some(functions) = instance.functions.stream else { return Ok(wire::StreamWish::Skip) };
        let opened = instance.store.data().exchange.as_ref().into();
        match instance.call(Phase::Stream, functions.on_open, (opened,))?.0 {
            wire::StreamWish::Failed => Err(instance.reported()),
            wish => Ok(wish),
        }
    })?;
    Ok(match wish {
        wire::StreamWish::Skip | wire::StreamWish::Failed => StreamWish::Skip,
        wire::StreamWish::Close => {
            slot.denied(Phase::Stream);
            StreamWish::Close
        }
        wire::StreamWish::Watch(interest) => {
            let (exchange, held, is_over) = (exchange.id, 0, false);
            slot.body_begins();
            StreamWish::Watch(interest.into(), Box::new(Stream { slot, exchange, instance: number, held, is_over }))
        }
    })
}

/// One stream on its way through a plugin.
#[derive(Debug)]
struct Stream {
    slot: Rc<Slot>,
    exchange: ExchangeId,
    /// The number of the instance that was asked about the stream first.
    instance: u64,
    /// Bytes that are held back for it.
    held: usize,
    /// The plugin has forgotten it, or is about to.
    is_over: bool,
}

impl Stream {
    fn is_known(&self) -> bool {
        self.slot.has_instance(self.exchange, self.instance)
    }

    fn shown(&self, exchange: &mut Box<Exchange>, piece: &mut StreamPiece) -> Result<StreamVerdict, Failure> {
        if !self.is_known() {
            let gone = Failure::Unavailable("the instance that knew the beginning of the stream is gone".into());
            return Err(self.slot.failed(Phase::Stream, gone));
        }
        self.slot.go_on(Phase::Stream, exchange, |instance| {
            let Some(functions) = instance.functions.stream else { return Ok(StreamVerdict::PassRest) };
            let bytes_max = self.slot.body_bytes_max().max(piece.bytes.len().saturating_add(self.held));
            instance.store.data_mut().piece =
                Some(PieceAtHand { edits: Edits::Any, holds_head: false, bytes_max, written: None });
            let arguments = (self.exchange.0, piece.direction.into(), piece.bytes.as_ref(), piece.is_last);
            let verdict = instance.call(Phase::Stream, functions.on_bytes, arguments);
            let written = instance.store.data_mut().piece.take().and_then(|piece| piece.written);
            let verdict = match verdict?.0 {
                wire::StreamVerdict::Pass => StreamVerdict::Pass,
                wire::StreamVerdict::PassRest => StreamVerdict::PassRest,
                wire::StreamVerdict::Close => StreamVerdict::Close,
                wire::StreamVerdict::Hold if written.is_some() => {
                    return Err(Failure::Absurd("bytes were both held back and replaced".into()));
                }
                wire::StreamVerdict::Hold => StreamVerdict::Hold,
                wire::StreamVerdict::Failed => return Err(instance.reported()),
            };
            piece.instead = written.map(Bytes::from);
            Ok(verdict)
        })
    }
}

impl StreamFilter for Stream {
    fn look(&mut self, exchange: &mut Box<Exchange>, piece: &mut StreamPiece) -> Result<StreamVerdict, Failure> {
        let verdict = self.shown(exchange, piece);
        if matches!(verdict, Ok(StreamVerdict::Close)) {
            self.slot.denied(Phase::Stream);
        }
        // What is no verdict of the guest's own leaves it something to forget.
        self.is_over |= matches!(verdict, Ok(StreamVerdict::Close) | Err(Failure::Reported(_)));
        verdict
    }

    fn hold(&mut self, bytes: usize, before: usize) -> Result<(), Failure> {
        let bytes_max = self.slot.body_bytes_max();
        let held = if before.saturating_add(bytes) > bytes_max {
            Err(Failure::Unavailable(format!("it holds back more than {bytes_max} bytes of a stream")))
        } else {
            self.slot.buffer(bytes)
        };
        held.map_err(|failure| self.slot.failed(Phase::Stream, failure))?;
        self.held = self.held.saturating_add(bytes);
        Ok(())
    }

    fn let_go(&mut self, bytes: usize) {
        self.slot.unbuffer(bytes.min(self.held));
        self.held = self.held.saturating_sub(bytes);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.slot.unbuffer(self.held);
        self.slot.body_ends();
        if self.is_over || !self.is_known() {
            return;
        }
        let told = self.slot.run(Phase::Stream, Some(self.exchange), |instance| {
            let Some(functions) = instance.functions.stream else { return Ok(()) };
            instance.call(Phase::Stream, functions.on_left, (self.exchange.0,))
        });
        drop(told); // Counted and logged in `call`; there is nobody left to be told.
    }
}
