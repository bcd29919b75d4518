//! What a [`TestHost`](crate::TestHost) knows, and where its plugin's host calls find it.

use std::{cell::RefCell, mem, time::Duration};

use super::{
    body::PieceSide,
    fetches::Fetches,
    head::{RequestSide, ResponseSide, is_header_name},
    registry::Registry,
    shared::Store,
    stream::StreamSide,
};
use crate::bindings::capabilities::palisade::plugin::types::HeadError;

/// The host's side of one test.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) exchange: u64,
    pub(crate) request: RequestSide,
    pub(crate) response: ResponseSide,
    /// What a body filter's piece is replaced by.
    pub(crate) piece: PieceSide,
    /// The heads of a body that is streamed have gone on.
    pub(crate) heads_are_gone: bool,
    /// Where the stream at hand may go.
    pub(crate) stream: StreamSide,
    pub(crate) reply: Option<ResponseSide>,
    pub(crate) fault: Option<String>,
    pub(crate) hot_headers: Vec<String>,
    pub(crate) logs: Vec<String>,
    pub(crate) metrics: Registry,
    pub(crate) fetches: Fetches,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) shared: Store,
    pub(crate) tick_interval: Option<Duration>,
}

impl World {
    /// Makes these the heads of the exchange at hand, and forgets what the last call left.
    pub(crate) fn begin(&mut self, exchange: u64, request: RequestSide, response: ResponseSide) {
        (self.exchange, self.request, self.response) = (exchange, request, response);
        (self.reply, self.fault, self.heads_are_gone) = (None, None, false);
    }

    pub(crate) fn declare_hot_header(&mut self, name: &str) -> bool {
        let valid = is_header_name(name);
        if valid {
            self.hot_headers.push(name.to_ascii_lowercase());
        }
        valid
    }

    pub(crate) fn tick_every(&mut self, millis: u32) -> bool {
        let valid = (100..=3_600_000).contains(&millis);
        if valid {
            self.tick_interval = Some(Duration::from_millis(millis.into()));
        }
        valid
    }

    /// The request of an exchange, as a host call that names the exchange reaches it.
    pub(crate) fn request(&mut self, exchange: u64) -> &mut RequestSide {
        assert_eq!(exchange, self.exchange, "a host call about an exchange that is not at hand traps");
        &mut self.request
    }

    /// The response of an exchange, as a host call that names the exchange reaches it.
    pub(crate) fn response(&mut self, exchange: u64) -> &mut ResponseSide {
        assert_eq!(exchange, self.exchange, "a host call about an exchange that is not at hand traps");
        &mut self.response
    }

    /// As [`World::request`], to change it.
    pub(crate) fn request_mut(&mut self, exchange: u64) -> Result<&mut RequestSide, HeadError> {
        if self.heads_are_gone { Err(HeadError::ReadOnly) } else { Ok(self.request(exchange)) }
    }

    /// As [`World::response`], to change it.
    pub(crate) fn response_mut(&mut self, exchange: u64) -> Result<&mut ResponseSide, HeadError> {
        if self.heads_are_gone { Err(HeadError::ReadOnly) } else { Ok(self.response(exchange)) }
    }

    /// Where the stream at hand may go, as a host call that names its exchange reaches it.
    pub(crate) fn stream(&mut self, exchange: u64) -> &mut StreamSide {
        assert_eq!(exchange, self.exchange, "a host call about an exchange that is not at hand traps");
        &mut self.stream
    }

    /// What takes the place of the piece at hand, as a host call that names the exchange reaches it.
    pub(crate) fn piece(&mut self, exchange: u64) -> &mut PieceSide {
        assert_eq!(exchange, self.exchange, "a host call about an exchange that is not at hand traps");
        &mut self.piece
    }
}

/// Answers a host call from this thread's world. Outside of a call of a test host that is one of nobody's.
pub(crate) fn with<T>(answer: impl FnOnce(&mut World) -> T) -> T {
    WORLD.with_borrow_mut(answer)
}

/// While this lives, host calls of this thread find this world.
pub(crate) struct Entered<'a>(&'a mut World);

impl<'a> Entered<'a> {
    pub(crate) fn new(world: &'a mut World) -> Self {
        with(|current| mem::swap(current, world));
        Self(world)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        with(|current| mem::swap(current, self.0));
    }
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

/// A clock that moves only when a test moves it.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    passed: Duration,
}

impl Clock {
    pub(crate) fn advance(&mut self, by: Duration) {
        self.passed += by;
    }

    pub(crate) fn monotonic_nanos(&self) -> u64 {
        nanos(MONOTONIC_AT_START + self.passed)
    }

    pub(crate) fn wall_nanos(&self) -> u64 {
        nanos(WALL_AT_START + self.passed)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

const MONOTONIC_AT_START: Duration = Duration::from_secs(1_000);

/// 2026-01-01T00:00:00Z.
const WALL_AT_START: Duration = Duration::from_secs(1_767_225_600);

/// Numbers that look random and are the same in every run (SplitMix64).
#[derive(Debug, Default)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    pub(crate) fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let [byte, ..] = self.number().to_be_bytes();
        byte
    }
}
