//! A body for a test, passed through a body filter as the host would, and what became of it.

use super::{TestOutcome, TestRequest, TestResponse, names, world::World};
use crate::{
    Piece,
    bindings::{
        capabilities::palisade::plugin::{
            bodies::{Buffering, Edits, OverLimit, PieceVerdict, Wish},
            body::WriteError,
            types::Verdict,
        },
        request_body_filter::exports::palisade::plugin::request_body_filter::RequestBody,
        response_body_filter::exports::palisade::plugin::response_body_filter::ResponseBody,
    },
};

/// A body for [`TestHost::request_body`](crate::TestHost::request_body) and
/// [`TestHost::response_body`](crate::TestHost::response_body), in pieces as they could come from a network.
#[derive(Clone, Debug, Default)]
pub struct TestBody {
    pieces: Vec<Vec<u8>>,
    is_announced: bool,
    is_cut: bool,
}

impl TestBody {
    /// All of it at once, with its length announced.
    pub fn whole(bytes: impl AsRef<[u8]>) -> Self {
        Self { is_announced: true, ..Self::pieces(&[bytes]) }
    }

    /// These pieces, and an empty one that is the last; no length is announced.
    pub fn pieces(pieces: &[impl AsRef<[u8]>]) -> Self {
        Self {
            pieces: pieces.iter().map(|piece| piece.as_ref().to_vec()).collect(),
            is_announced: false,
            is_cut: false,
        }
    }

    /// Announces its length, so that the last byte is seen to be the last.
    #[must_use]
    pub fn announced(mut self) -> Self {
        self.is_announced = true;
        self
    }

    /// Breaks off after the pieces: the client, or the endpoint, leaves.
    #[must_use]
    pub fn cut(mut self) -> Self {
        self.is_cut = true;
        self
    }

    fn length(&self) -> Option<u64> {
        self.is_announced.then(|| self.pieces.iter().map(|piece| piece.len() as u64).sum())
    }

    /// As the host hands them over: cut to 64 KiB, and the last one known as soon as it can be.
    fn for_stream(&self) -> Vec<(Vec<u8>, bool)> {
        let chunks = self.pieces.iter().flat_map(|piece| piece.chunks(PIECE_BYTES_MAX)).map(<[u8]>::to_vec);
        let mut pieces: Vec<_> = chunks.map(|piece| (piece, false)).collect();
        match pieces.last_mut() {
            _ if self.is_cut => {}
            Some(last) if self.is_announced => last.1 = true,
            _ => pieces.push((Vec::new(), true)),
        }
        pieces
    }
}

/// What became of a body.
#[derive(Clone, Debug)]
pub struct TestBodyOutcome {
    decision: TestOutcome,
    bytes: Vec<u8>,
    length: Option<u64>,
    is_too_large: bool,
}

impl TestBodyOutcome {
    /// What went on, up to where the filter stopped it, if it did.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The length that the head announces behind the filter; none where it does not.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// True where the host would answer 413, or 502 for a response, because the body is longer than the filter buffers.
    pub fn is_too_large(&self) -> bool {
        self.is_too_large
    }

    /// What the filter decided in the end, and the head as it left it.
    pub fn decision(&self) -> &TestOutcome {
        &self.decision
    }
}

/// What takes the place of the piece at hand.
#[derive(Debug, Default)]
pub(crate) struct PieceSide {
    edits: Option<Edits>,
    written: Option<Vec<u8>>,
}

impl PieceSide {
    /// Of a piece that anything may take the place of.
    pub(super) fn open() -> Self {
        Self { edits: Some(Edits::Any), written: None }
    }

    pub(super) fn into_written(self) -> Option<Vec<u8>> {
        self.written
    }

    #[expect(clippy::panic, reason = "a trap in a host: the test of the plugin that does it fails here")]
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        match self.edits {
            None => panic!("a host call about a piece outside of `on-piece` traps"),
            Some(Edits::None) => Err(WriteError::ReadOnly),
            Some(Edits::SameLength | Edits::Any) => {
                let written = self.written.get_or_insert_default();
                if written.len() + bytes.len() > WRITTEN_BYTES_MAX {
                    return Err(WriteError::TooLarge);
                }
                written.extend_from_slice(bytes);
                Ok(())
            }
        }
    }
}

/// What one side's calls are: the plugin's functions, with the host's world at hand.
pub(super) struct Calls<'a> {
    pub(super) exchange: u64,
    pub(super) world: &'a mut World,
    pub(super) outcome: fn(&World, Verdict) -> TestOutcome,
    pub(super) piece: &'a mut dyn FnMut(&mut World, Piece) -> PieceVerdict,
    /// Whether the filter is to be told that the body ended without its last piece.
    pub(super) is_left: bool,
}

impl Calls<'_> {
    /// Passes the body as the filter wished.
    pub(super) fn pass(&mut self, wish: Wish, body: &TestBody) -> TestBodyOutcome {
        let original: Vec<u8> = body.pieces.concat();
        match wish {
            Wish::Skip => self.ended(Verdict::Proceed, original, body.length()),
            Wish::Reply => self.ended(Verdict::Reply, Vec::new(), None),
            Wish::Close => self.ended(Verdict::Close, Vec::new(), None),
            Wish::Failed => self.ended(Verdict::Failed, Vec::new(), None),
            Wish::Stream(edits) => {
                self.world.heads_are_gone = true;
                let length = body.length().filter(|_| edits != Edits::Any);
                self.stream(body.for_stream(), edits, length)
            }
            Wish::Buffer(buffering) => self.buffer(original, buffering, body),
        }
    }

    fn buffer(&mut self, original: Vec<u8>, buffering: Buffering, body: &TestBody) -> TestBodyOutcome {
        if original.len() as u64 > buffering.bytes_max.min(WRITTEN_BYTES_MAX as u64) {
            self.is_left = true;
            let is_too_large = buffering.over_limit == OverLimit::Refuse;
            let (bytes, length) = if is_too_large { (Vec::new(), None) } else { (original, body.length()) };
            return TestBodyOutcome { is_too_large, ..self.ended(Verdict::Proceed, bytes, length) };
        }
        if body.is_cut {
            self.is_left = true;
            return self.ended(Verdict::Proceed, Vec::new(), None);
        }
        let outcome = self.stream(vec![(original, true)], Edits::Any, None);
        TestBodyOutcome { length: Some(outcome.bytes.len() as u64), ..outcome }
    }

    fn stream(&mut self, pieces: Vec<(Vec<u8>, bool)>, edits: Edits, length: Option<u64>) -> TestBodyOutcome {
        let mut passed = Vec::new();
        let mut is_asked = true;
        for (bytes, is_last) in pieces {
            if !is_asked {
                passed.extend(bytes);
                continue;
            }
            self.world.piece = PieceSide { edits: Some(edits), written: None };
            let verdict = (self.piece)(self.world, Piece::new(self.exchange, bytes.clone(), is_last));
            let written = std::mem::take(&mut self.world.piece).written;
            is_asked = verdict == PieceVerdict::Proceed && !is_last;
            let stopped = match verdict {
                PieceVerdict::Proceed | PieceVerdict::PassRest => None,
                PieceVerdict::Reply => Some(Verdict::Reply),
                PieceVerdict::Close => Some(Verdict::Close),
                PieceVerdict::Failed => Some(Verdict::Failed),
            };
            if let Some(verdict) = stopped {
                return self.ended(verdict, passed, length);
            }
            let out = written.unwrap_or_else(|| bytes.clone());
            let is_as_said = edits != Edits::SameLength || out.len() == bytes.len();
            assert!(
                is_as_said,
                "a piece of another length in place of one fails where only the same length was announced"
            );
            passed.extend(out);
        }
        if is_asked {
            self.is_left = true;
        }
        self.ended(Verdict::Proceed, passed, length)
    }

    fn ended(&self, verdict: Verdict, bytes: Vec<u8>, length: Option<u64>) -> TestBodyOutcome {
        TestBodyOutcome { decision: (self.outcome)(self.world, verdict), bytes, length, is_too_large: false }
    }
}

impl TestRequest {
    /// The body's beginning as the host hands it over.
    pub(super) fn body(&self, exchange: u64, body: &TestBody) -> RequestBody {
        RequestBody {
            exchange,
            method: self.method(),
            listener: names::number(&self.listener),
            route: names::number(&self.route),
            length: body.length(),
        }
    }
}

impl TestResponse {
    /// The body's beginning as the host hands it over.
    pub(super) fn body(&self, exchange: u64, body: &TestBody) -> ResponseBody {
        let head = self.head(exchange);
        ResponseBody {
            exchange,
            status: head.status,
            method: head.method,
            listener: head.listener,
            route: head.route,
            upstream: head.upstream,
            endpoint: head.endpoint,
            length: body.length(),
        }
    }
}

/// The host's, and the default of the operator's limit.
const PIECE_BYTES_MAX: usize = 64 << 10;
const WRITTEN_BYTES_MAX: usize = 1 << 20;
