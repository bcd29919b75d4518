//! One body on its way through a plugin: a piece in, the plugin's verdict and its bytes out.
//!
//! All calls about one body go to one instance. Where that is gone, because another call broke it, what the plugin knew of
//! the body is gone with it, and the plugin has failed for this body.

use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use palisade_contract::{BodyFilter, Edits, Exchange, ExchangeId, Failure, Handling, Piece, Side, Verdict, Wish};

use crate::abi::body::{self as wire, PieceVerdict};
use crate::filter::Slot;
use crate::functions::{OnLeft, OnPiece};
use crate::instance::Instance;
use crate::state::PieceAtHand;

/// Asks the plugin how it wants a body of so many announced bytes.
///
/// # Errors
/// The plugin failed.
pub(crate) fn ask(
    slot: Rc<Slot>,
    side: Side,
    exchange: &mut Box<Exchange>,
    announced: Option<u64>,
) -> Result<Wish, Failure> {
    let mut number = 0;
    let asked = slot.with_exchange(side.phase(), exchange, |instance| {
        number = instance.number;
        let Some(wish) = on_body(instance, side, announced)? else { return Ok(Asked::Decided(Wish::Skip)) };
        settled(instance, wish, slot.body_bytes_max())
    })?;
    Ok(match asked {
        Asked::Decided(wish) => {
            if matches!(wish, Wish::Reply(_) | Wish::Close) {
                slot.denied(side.phase());
            }
            wish
        }
        Asked::Take(handling) => {
            let (exchange, buffered, is_over) = (exchange.id, 0, false);
            slot.body_begins();
            Wish::Take(handling, Box::new(Body { slot, side, exchange, instance: number, buffered, is_over }))
        }
    })
}

fn on_body(instance: &mut Instance, side: Side, announced: Option<u64>) -> Result<Option<wire::Wish>, Failure> {
    let exchange = &instance.store.data().exchange;
    match side {
        Side::Request => {
            let body = wire::RequestBody::new(exchange, announced);
            let Some(functions) = instance.functions.request_body else { return Ok(None) };
            instance.call(side.phase(), functions.on_body, (body,)).map(|(wish,)| Some(wish))
        }
        Side::Response => {
            let body = wire::ResponseBody::new(exchange, announced);
            let Some(functions) = instance.functions.response_body else { return Ok(None) };
            instance.call(side.phase(), functions.on_body, (body,)).map(|(wish,)| Some(wish))
        }
    }
}

/// What a plugin says of a body, before there is anything that leads it through the plugin.
enum Asked {
    Decided(Wish),
    Take(Handling),
}

fn settled(instance: &mut Instance, wish: wire::Wish, bytes_max: usize) -> Result<Asked, Failure> {
    Ok(match wish {
        wire::Wish::Skip => Asked::Decided(Wish::Skip),
        wire::Wish::Close => Asked::Decided(Wish::Close),
        wire::Wish::Failed => return Err(instance.reported()),
        wire::Wish::Reply => Asked::Decided(Wish::Reply(instance.reply()?)),
        wire::Wish::Stream(edits) => Asked::Take(Handling::Stream(edits.into())),
        wire::Wish::Buffer(wire::Buffering { bytes_max: wanted, over_limit }) => {
            let bytes_max = usize::try_from(wanted).unwrap_or(usize::MAX).min(bytes_max);
            Asked::Take(Handling::Buffer { bytes_max, over: over_limit.into() })
        }
    })
}

/// One body on its way through a plugin.
#[derive(Debug)]
struct Body {
    slot: Rc<Slot>,
    side: Side,
    exchange: ExchangeId,
    /// The number of the instance that was asked about the body first.
    instance: u64,
    /// Bytes that are buffered for it.
    buffered: usize,
    /// The plugin has forgotten it, or is about to.
    is_over: bool,
}

impl Body {
    fn functions(&self, instance: &Instance) -> Option<(OnPiece, OnLeft)> {
        match self.side {
            Side::Request => instance.functions.request_body.map(|functions| (functions.on_piece, functions.on_left)),
            Side::Response => instance.functions.response_body.map(|functions| (functions.on_piece, functions.on_left)),
        }
    }

    fn is_known(&self) -> bool {
        self.slot.has_instance(self.exchange, self.instance)
    }

    fn look(&self, exchange: &mut Box<Exchange>, piece: &mut Piece) -> Result<Verdict, Failure> {
        if !self.is_known() {
            let gone = Failure::Unavailable("the instance that knew the beginning of the body is gone".into());
            return Err(self.slot.failed(self.side.phase(), gone));
        }
        self.slot.go_on(self.side.phase(), exchange, |instance| {
            let Some((on_piece, _)) = self.functions(instance) else { return Ok(Verdict::PassRest) };
            instance.store.data_mut().piece = Some(PieceAtHand {
                edits: piece.edits,
                holds_head: piece.holds_head,
                bytes_max: self.slot.body_bytes_max().max(piece.bytes.len()),
                written: None,
            });
            let arguments = (self.exchange.0, piece.bytes.as_ref(), piece.is_last);
            let verdict = instance.call(self.side.phase(), on_piece, arguments);
            let written = instance.store.data_mut().piece.take().and_then(|piece| piece.written);
            let verdict = decided(instance, verdict?.0)?;
            replace(piece, written)?;
            Ok(verdict)
        })
    }
}

fn decided(instance: &mut Instance, verdict: PieceVerdict) -> Result<Verdict, Failure> {
    match verdict {
        PieceVerdict::Proceed => Ok(Verdict::Proceed),
        PieceVerdict::PassRest => Ok(Verdict::PassRest),
        PieceVerdict::Close => Ok(Verdict::Close),
        PieceVerdict::Failed => Err(instance.reported()),
        PieceVerdict::Reply => instance.reply().map(Verdict::Reply),
    }
}

/// Puts what was written in the piece's place, if anything was.
fn replace(piece: &mut Piece, written: Option<Vec<u8>>) -> Result<(), Failure> {
    let Some(written) = written else { return Ok(()) };
    if piece.edits == Edits::SameLength && written.len() != piece.bytes.len() {
        let (written, length) = (written.len(), piece.bytes.len());
        return Err(Failure::Absurd(format!(
            "{written} bytes in place of a piece of {length}, of a body that was to keep its length"
        )));
    }
    piece.bytes = Bytes::from(written);
    Ok(())
}

impl BodyFilter for Body {
    fn poll_piece(
        &mut self,
        exchange: &mut Box<Exchange>,
        piece: &mut Piece,
        _context: &mut Context<'_>,
    ) -> Poll<Result<Verdict, Failure>> {
        let verdict = self.look(exchange, piece);
        if matches!(verdict, Ok(Verdict::Reply(_) | Verdict::Close)) {
            self.slot.denied(self.side.phase());
        }
        self.is_over = piece.is_last || !matches!(verdict, Ok(Verdict::Proceed));
        Poll::Ready(verdict)
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), Failure> {
        self.slot.buffer(bytes).map_err(|failure| self.slot.failed(self.side.phase(), failure))?;
        self.buffered = self.buffered.saturating_add(bytes);
        Ok(())
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.slot.unbuffer(self.buffered);
        self.slot.body_ends();
        if self.is_over || !self.is_known() {
            return;
        }
        let told = self.slot.run(self.side.phase(), Some(self.exchange), |instance| {
            let Some((_, on_left)) = self.functions(instance) else { return Ok(()) };
            instance.call(self.side.phase(), on_left, (self.exchange.0,))
        });
        drop(told); // Counted and logged in `call`; there is nobody left to be told.
    }
}
