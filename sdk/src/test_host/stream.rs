//! A stream for a test, passed through a stream filter as the host would, and what became of it.

use std::net::IpAddr;

use super::{address, body::PieceSide, names, world::World};
use crate::{
    StreamPiece,
    bindings::{
        capabilities::palisade::plugin::streams::ChooseError,
        stream_filter::exports::palisade::plugin::stream_filter::{Direction, Interest, Opened, Verdict, Wish},
    },
};

/// A stream for [`TestHost::stream`](crate::TestHost::stream): who opens it, and what both sides send in which order.
#[derive(Clone, Debug)]
pub struct TestStream {
    client: IpAddr,
    listener: String,
    route: String,
    alternatives: Vec<String>,
    sent: Vec<(Direction, Vec<u8>)>,
}

impl Default for TestStream {
    fn default() -> Self {
        Self {
            client: address::DEFAULT_CLIENT,
            listener: "test".to_owned(),
            route: "test/0".to_owned(),
            alternatives: Vec::new(),
            sent: Vec::new(),
        }
    }
}

impl TestStream {
    /// From 192.0.2.1, on which nothing is sent.
    pub fn new() -> Self {
        Self::default()
    }

    /// The client's address.
    ///
    /// # Panics
    ///
    /// Where the text is not an address.
    #[must_use]
    pub fn from(mut self, client: &str) -> Self {
        self.client = address::parse(client);
        self
    }

    /// The route's name.
    #[must_use]
    pub fn route(mut self, route: &str) -> Self {
        route.clone_into(&mut self.route);
        self
    }

    /// The upstreams that the route offers beside its own.
    #[must_use]
    pub fn alternatives(mut self, upstreams: &[&str]) -> Self {
        self.alternatives = upstreams.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// What the client sends next, in one piece.
    #[must_use]
    pub fn client(self, bytes: impl AsRef<[u8]>) -> Self {
        self.sends(Direction::FromClient, bytes)
    }

    /// What the endpoint sends next, in one piece.
    #[must_use]
    pub fn endpoint(self, bytes: impl AsRef<[u8]>) -> Self {
        self.sends(Direction::FromEndpoint, bytes)
    }

    fn sends(mut self, direction: Direction, bytes: impl AsRef<[u8]>) -> Self {
        self.sent.push((direction, bytes.as_ref().to_vec()));
        self
    }

    /// As the host hands it over.
    pub(super) fn opened(&self, exchange: u64) -> Opened {
        Opened {
            exchange,
            client: address::to_host(self.client),
            client_port: address::DEFAULT_CLIENT_PORT,
            listener: names::number(&self.listener),
            route: names::number(&self.route),
        }
    }

    pub(super) fn side(&self) -> StreamSide {
        StreamSide { offered: self.alternatives.clone(), chosen: None, is_decided: false }
    }
}

/// Where a stream may go.
#[derive(Debug, Default)]
pub(crate) struct StreamSide {
    offered: Vec<String>,
    chosen: Option<String>,
    is_decided: bool,
}

impl StreamSide {
    pub(crate) fn choose(&mut self, upstream: &str) -> Result<(), ChooseError> {
        if self.is_decided {
            return Err(ChooseError::TooLate);
        }
        let offered = self.offered.iter().find(|offered| *offered == upstream).ok_or(ChooseError::NotOffered)?;
        self.chosen = Some(offered.clone());
        Ok(())
    }
}

/// What became of a stream.
#[derive(Clone, Debug, Default)]
pub struct TestStreamOutcome {
    to_endpoint: Vec<u8>,
    to_client: Vec<u8>,
    upstream: Option<String>,
    fault: Option<String>,
    is_closed: bool,
}

impl TestStreamOutcome {
    /// What went on to the endpoint, up to where the filter stopped it, if it did.
    pub fn to_endpoint(&self) -> &[u8] {
        &self.to_endpoint
    }

    /// What went on to the client.
    pub fn to_client(&self) -> &[u8] {
        &self.to_client
    }

    /// The upstream that the filter chose; none for the route's own.
    pub fn upstream(&self) -> Option<&str> {
        self.upstream.as_deref()
    }

    /// True where the filter closed it.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// What the plugin said when it could not decide.
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }
}

/// One stream on its way, as the host leads it.
pub(super) struct Passing<'a> {
    pub(super) interest: Interest,
    pub(super) exchange: u64,
    pub(super) world: &'a mut World,
    /// The plugin's function.
    pub(super) show: &'a mut dyn FnMut(&mut World, StreamPiece) -> Verdict,
}

impl Passing<'_> {
    pub(super) fn all(mut self, stream: &TestStream) -> (TestStreamOutcome, Option<Verdict>) {
        let mut outcome = TestStreamOutcome::default();
        let mut held = [Vec::new(), Vec::new()];
        let mut awaits_client = self.interest.before_endpoint;
        self.world.stream.is_decided = !awaits_client;
        let ends = [(Direction::FromClient, Vec::new()), (Direction::FromEndpoint, Vec::new())];
        let pieces = stream.sent.iter().map(|piece| (piece, false)).chain(ends.iter().map(|end| (end, true)));
        for ((direction, bytes), is_last) in pieces {
            let [client, endpoint] = &mut held;
            let (is_watched, held, out) = match direction {
                Direction::FromClient => (&mut self.interest.from_client, client, &mut outcome.to_endpoint),
                Direction::FromEndpoint => (&mut self.interest.from_endpoint, endpoint, &mut outcome.to_client),
            };
            held.extend_from_slice(bytes);
            if *is_watched {
                self.world.piece = PieceSide::open();
                let piece = StreamPiece::new(self.exchange, *direction, bytes.clone(), is_last);
                let verdict = (self.show)(self.world, piece);
                let instead = std::mem::take(&mut self.world.piece).into_written();
                match verdict {
                    Verdict::Hold => {
                        assert!(instead.is_none(), "bytes that are both held back and replaced fail");
                        assert!(!is_last, "the end of a stream that is held back fails");
                        continue;
                    }
                    Verdict::Close | Verdict::Failed => return (outcome, Some(verdict)),
                    Verdict::Pass => {}
                    Verdict::PassRest => *is_watched = false,
                }
                if let Some(instead) = instead {
                    *held = instead;
                }
                if std::mem::take(&mut awaits_client) {
                    self.world.stream.is_decided = true;
                }
            }
            out.append(held);
        }
        (outcome, None)
    }
}

impl TestStreamOutcome {
    pub(super) fn ended(mut self, verdict: Option<Verdict>, side: &StreamSide, fault: Option<String>) -> Self {
        self.is_closed = matches!(verdict, Some(Verdict::Close));
        self.fault = fault.filter(|_| matches!(verdict, Some(Verdict::Failed)));
        self.upstream.clone_from(&side.chosen);
        self
    }

    /// Of a stream that the filter was not shown.
    pub(super) fn unshown(wish: &Wish, stream: &TestStream) -> (Self, Option<Verdict>) {
        let verdict = match wish {
            Wish::Close => Some(Verdict::Close),
            Wish::Failed => Some(Verdict::Failed),
            Wish::Skip | Wish::Watch(_) => None,
        };
        let mut outcome = Self::default();
        for (direction, bytes) in stream.sent.iter().filter(|_| verdict.is_none()) {
            match direction {
                Direction::FromClient => outcome.to_endpoint.extend(bytes),
                Direction::FromEndpoint => outcome.to_client.extend(bytes),
            }
        }
        (outcome, verdict)
    }
}
