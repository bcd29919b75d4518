//! A connection's bytes on their way through the stream filters of a chain.
//!
//! What comes from the client passes them in the order of the chain, what comes from the endpoint in the reverse order.

use bytes::{Bytes, BytesMut};

use crate::stream::{Direction, Interest, StreamFilter, StreamPiece, StreamVerdict};
use crate::{Exchange, Failure, PluginName, Stopped};

/// A connection's bytes on their way through the filters that want to be shown them.
#[derive(Debug)]
pub struct StreamPassage {
    stages: Vec<Stage>,
}

impl StreamPassage {
    pub(crate) fn new(stages: Vec<Stage>) -> Option<Self> {
        (!stages.is_empty()).then_some(Self { stages })
    }

    /// Whether a filter has yet to see what the client sends before an endpoint is chosen.
    #[must_use]
    pub fn awaits_client(&self) -> bool {
        self.stages.iter().any(|stage| stage.awaits_client)
    }

    /// Whether any filter is still to be shown what goes this way.
    #[must_use]
    pub fn watches(&self, direction: Direction) -> bool {
        self.stages.iter().any(|stage| stage.watches(direction))
    }

    /// Shows bytes that came to the filters in their order, and gives what goes on now: more than came where something was
    /// held back before, less where something is. `is_last` is for the end of this direction.
    ///
    /// # Errors
    /// A plugin closes the connection, or failed.
    pub fn pass(
        &mut self,
        exchange: &mut Box<Exchange>,
        direction: Direction,
        bytes: Bytes,
        is_last: bool,
    ) -> Result<Bytes, Stopped> {
        let mut bytes = bytes;
        let mut show = |stage: &mut Stage| {
            if !bytes.is_empty() || is_last {
                bytes = stage.pass(exchange, direction, std::mem::take(&mut bytes), is_last)?;
            }
            Ok(())
        };
        match direction {
            Direction::FromClient => self.stages.iter_mut().try_for_each(&mut show)?,
            Direction::FromEndpoint => self.stages.iter_mut().rev().try_for_each(&mut show)?,
        }
        Ok(bytes)
    }
}

/// One filter on a connection's way.
#[derive(Debug)]
pub(crate) struct Stage {
    name: PluginName,
    fails_open: bool,
    filter: Box<dyn StreamFilter>,
    from_client: Lane,
    from_endpoint: Lane,
    awaits_client: bool,
    /// Something that went on is not as it came.
    is_changed: bool,
}

/// One direction, as far as one filter is concerned.
#[derive(Debug, Default)]
struct Lane {
    is_watched: bool,
    held: BytesMut,
}

impl Stage {
    pub(crate) fn new(
        (name, fails_open): (&PluginName, bool),
        interest: Interest,
        filter: Box<dyn StreamFilter>,
    ) -> Self {
        let lane = |is_watched| Lane { is_watched, held: BytesMut::new() };
        Self {
            name: name.clone(),
            fails_open,
            filter,
            from_client: lane(interest.from_client || interest.before_endpoint),
            from_endpoint: lane(interest.from_endpoint),
            awaits_client: interest.before_endpoint,
            is_changed: false,
        }
    }

    fn lane(&mut self, direction: Direction) -> &mut Lane {
        match direction {
            Direction::FromClient => &mut self.from_client,
            Direction::FromEndpoint => &mut self.from_endpoint,
        }
    }

    fn watches(&self, direction: Direction) -> bool {
        match direction {
            Direction::FromClient => self.from_client.is_watched,
            Direction::FromEndpoint => self.from_endpoint.is_watched,
        }
    }

    fn pass(
        &mut self,
        exchange: &mut Box<Exchange>,
        direction: Direction,
        bytes: Bytes,
        is_last: bool,
    ) -> Result<Bytes, Stopped> {
        if !self.watches(direction) {
            return Ok(bytes);
        }
        let mut piece = StreamPiece { direction, bytes, is_last, instead: None };
        let verdict = self.filter.look(exchange, &mut piece);
        let verdict = match verdict {
            Ok(StreamVerdict::Hold) => self.hold(&piece).map(|()| StreamVerdict::Hold),
            verdict => verdict,
        };
        match verdict {
            Ok(StreamVerdict::Hold) => return Ok(Bytes::new()),
            Ok(StreamVerdict::Close) => return Err(Stopped::Close(self.name.clone())),
            Ok(StreamVerdict::Pass) => {}
            Ok(StreamVerdict::PassRest) => self.lane(direction).is_watched = false,
            Err(_) => return self.fail(piece),
        }
        if direction == Direction::FromClient {
            self.awaits_client = false;
        }
        self.is_changed |= piece.instead.is_some();
        let before = self.let_go(direction, &piece.bytes);
        Ok(piece.instead.unwrap_or(before))
    }

    /// Keeps the bytes back.
    fn hold(&mut self, piece: &StreamPiece) -> Result<(), Failure> {
        if piece.is_last {
            return Err(Failure::Absurd("the end of a stream was held back, after which nothing can let it go".into()));
        }
        let before = self.lane(piece.direction).held.len();
        self.filter.hold(piece.bytes.len(), before)?;
        self.lane(piece.direction).held.extend_from_slice(&piece.bytes);
        Ok(())
    }

    /// What was held back, with these bytes behind. Where nothing was, they are not copied.
    fn let_go(&mut self, direction: Direction, bytes: &Bytes) -> Bytes {
        let lane = self.lane(direction);
        if lane.held.is_empty() {
            return bytes.clone();
        }
        let mut held = std::mem::take(&mut lane.held);
        self.filter.let_go(held.len());
        held.extend_from_slice(bytes);
        held.freeze()
    }

    /// It failed: where nothing is changed, and nothing held back the other way, the connection goes on without it.
    fn fail(&mut self, piece: StreamPiece) -> Result<Bytes, Stopped> {
        let other = match piece.direction {
            Direction::FromClient => Direction::FromEndpoint,
            Direction::FromEndpoint => Direction::FromClient,
        };
        if !self.fails_open || self.is_changed || !self.lane(other).held.is_empty() {
            return Err(Stopped::Failed(self.name.clone()));
        }
        (self.from_client.is_watched, self.from_endpoint.is_watched, self.awaits_client) = (false, false, false);
        Ok(self.let_go(piece.direction, &piece.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{FromClient, FromEndpoint};

    /// Does what the first of the bytes says.
    #[derive(Debug)]
    struct Obeys;

    impl StreamFilter for Obeys {
        fn look(&mut self, _exchange: &mut Box<Exchange>, piece: &mut StreamPiece) -> Result<StreamVerdict, Failure> {
            match piece.bytes.first() {
                Some(b'h') => Ok(StreamVerdict::Hold),
                Some(b'r') => Ok(StreamVerdict::PassRest),
                Some(b'c') => Ok(StreamVerdict::Close),
                Some(b'f') => Err(Failure::Reported("told to".into())),
                Some(b'u') => {
                    piece.instead = Some(piece.bytes.to_ascii_uppercase().into());
                    Ok(StreamVerdict::Pass)
                }
                _ => Ok(StreamVerdict::Pass),
            }
        }

        fn hold(&mut self, bytes: usize, before: usize) -> Result<(), Failure> {
            if bytes + before > 8 { Err(Failure::Reported("too much".into())) } else { Ok(()) }
        }
    }

    const BOTH: Interest = Interest { from_client: true, from_endpoint: true, before_endpoint: false };

    fn passage(fails_open: bool, interest: Interest) -> StreamPassage {
        let stage = Stage::new((&"obeys".into(), fails_open), interest, Box::new(Obeys));
        StreamPassage::new(vec![stage]).expect("a stage")
    }

    /// What becomes of each piece; an empty one is the last.
    #[track_caller]
    fn check(fails_open: bool, pieces: &[(Direction, &str)], expected: &[&str]) {
        let mut passage = passage(fails_open, BOTH);
        let mut exchange = Exchange::vacant();
        let passed = pieces.iter().map(|(direction, text)| {
            let bytes = Bytes::copy_from_slice(text.as_bytes());
            match passage.pass(&mut exchange, *direction, bytes, text.is_empty()) {
                Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Err(Stopped::Close(_)) => "closed".to_owned(),
                Err(_) => "failed".to_owned(),
            }
        });
        assert_eq!(passed.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn bytes_pass_are_held_back_are_changed_and_close() {
        check(false, &[(FromClient, "a"), (FromEndpoint, "b"), (FromClient, "")], &["a", "b", ""]);
        check(false, &[(FromClient, "h1"), (FromClient, "h2"), (FromClient, "x")], &["", "", "h1h2x"]);
        check(false, &[(FromClient, "h1"), (FromEndpoint, "x"), (FromClient, "ux")], &["", "x", "UX"]);
        check(false, &[(FromClient, "r"), (FromClient, "c"), (FromEndpoint, "c")], &["r", "c", "closed"]);
        check(false, &[(FromClient, "h1"), (FromClient, "")], &["", "h1"]);
    }

    #[test]
    fn a_filter_that_fails_open_is_left_out_as_long_as_nothing_is_changed_or_held_back_elsewhere() {
        check(false, &[(FromClient, "f")], &["failed"]);
        check(true, &[(FromClient, "h1"), (FromClient, "f"), (FromClient, "c")], &["", "h1f", "c"]);
        check(true, &[(FromClient, "u"), (FromClient, "f")], &["U", "failed"]);
        check(true, &[(FromEndpoint, "h1"), (FromClient, "f")], &["", "failed"]);
    }

    #[test]
    fn what_is_held_back_has_a_limit() {
        check(false, &[(FromClient, "h1234567"), (FromClient, "h")], &["", "failed"]);
        check(true, &[(FromClient, "h1234567"), (FromClient, "h")], &["", "h1234567h"]);
    }

    #[test]
    fn the_clients_first_bytes_are_awaited_until_they_pass() {
        let mut passage = passage(false, Interest { before_endpoint: true, ..Interest::default() });
        let mut exchange = Exchange::vacant();
        for (text, awaits) in [("h1", true), ("x", false)] {
            assert!(passage.awaits_client());
            passage.pass(&mut exchange, FromClient, Bytes::from_static(text.as_bytes()), false).expect("it passes");
            assert_eq!(passage.awaits_client(), awaits, "{text}");
        }
    }
}
