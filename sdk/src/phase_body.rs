//! As `phase`, for bodies: what a plugin keeps for each of them is kept here, from its beginning to its end.

use std::{any::Any, collections::BTreeMap};

use crate::{
    BodyWish, Error, Piece, PieceFlow, RequestBody, RequestBodyFilter, RequestHead, ResponseBody, ResponseBodyFilter,
    ResponseHead,
    bindings::{
        capabilities::palisade::plugin::bodies::{Buffering, PieceVerdict, Wish},
        request_body_filter::exports::palisade::plugin::request_body_filter as request_host,
        response_body_filter::exports::palisade::plugin::response_body_filter as response_host,
    },
    phase::report,
};

/// What one instance keeps for the bodies that are under way.
#[derive(Debug, Default)]
pub(crate) struct States(BTreeMap<(Side, u64), Box<dyn Any>>);

/// A request and its response have one number.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Side {
    Request,
    Response,
}

impl States {
    fn begin<S: 'static>(&mut self, key: (Side, u64), wish: Result<BodyWish<S>, Error>) -> Wish {
        let settled = wish.and_then(|wish| {
            let (wish, state) = match wish {
                BodyWish::Skip => return Ok(Wish::Skip),
                BodyWish::Close => return Ok(Wish::Close),
                BodyWish::Reply(reply) => return reply.prepare(key.1).map(|()| Wish::Reply),
                BodyWish::Stream { edits, state } => (Wish::Stream(edits), state),
                BodyWish::Buffer { bytes_max, over_limit, state } => {
                    (Wish::Buffer(Buffering { bytes_max, over_limit }), state)
                }
            };
            self.0.insert(key, Box::new(state));
            Ok(wish)
        });
        settled.unwrap_or_else(|error| {
            report(&error);
            Wish::Failed
        })
    }

    /// Lends the body's state to the filter, and keeps it as long as there is more to come.
    fn piece<S: 'static>(
        &mut self,
        key: (Side, u64),
        mut piece: Piece,
        filter: impl FnOnce(&mut S, &mut Piece) -> Result<PieceFlow, Error>,
    ) -> PieceVerdict {
        let is_last = piece.is_last();
        let settled = match self.0.get_mut(&key).and_then(|state| state.downcast_mut()) {
            Some(state) => filter(state, &mut piece),
            None => Err(Error::new("a piece of a body that did not begin")),
        };
        let settled = settled.and_then(|flow| match flow {
            PieceFlow::Continue => piece.write().map(|()| PieceVerdict::Proceed),
            PieceFlow::PassRest => piece.write().map(|()| PieceVerdict::PassRest),
            PieceFlow::Reply(reply) => reply.prepare(key.1).map(|()| PieceVerdict::Reply),
            PieceFlow::Close => Ok(PieceVerdict::Close),
        });
        let verdict = settled.unwrap_or_else(|error| {
            report(&error);
            PieceVerdict::Failed
        });
        if is_last || verdict != PieceVerdict::Proceed {
            self.0.remove(&key);
        }
        verdict
    }

    /// How many bodies are under way.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

pub(crate) fn on_request_body<P: RequestBodyFilter>(
    plugin: &mut P,
    states: &mut States,
    body: request_host::RequestBody,
) -> Wish {
    let key = (Side::Request, body.exchange);
    states.begin(key, plugin.on_request_body(&mut RequestBody::new(body)))
}

pub(crate) fn on_request_piece<P: RequestBodyFilter>(
    plugin: &mut P,
    states: &mut States,
    piece: Piece,
) -> PieceVerdict {
    let exchange = piece.exchange().number();
    states.piece((Side::Request, exchange), piece, |state, piece| {
        plugin.on_request_piece(state, piece, &mut RequestHead::new(exchange))
    })
}

pub(crate) fn on_request_left(states: &mut States, exchange: u64) {
    states.0.remove(&(Side::Request, exchange));
}

pub(crate) fn on_response_body<P: ResponseBodyFilter>(
    plugin: &mut P,
    states: &mut States,
    body: response_host::ResponseBody,
) -> Wish {
    let key = (Side::Response, body.exchange);
    states.begin(key, plugin.on_response_body(&mut ResponseBody::new(body)))
}

pub(crate) fn on_response_piece<P: ResponseBodyFilter>(
    plugin: &mut P,
    states: &mut States,
    piece: Piece,
) -> PieceVerdict {
    let exchange = piece.exchange().number();
    states.piece((Side::Response, exchange), piece, |state, piece| {
        plugin.on_response_piece(state, piece, &mut ResponseHead::new(exchange))
    })
}

pub(crate) fn on_response_left(states: &mut States, exchange: u64) {
    states.0.remove(&(Side::Response, exchange));
}
