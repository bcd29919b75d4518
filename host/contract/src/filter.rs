//! One plugin as a chain sees it: shared by all workers as a [`Plugin`], opened on each of them as a [`Filter`].

use std::fmt::Debug;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::{
    Begun, Candidate, Connection, Ended, Exchange, ExchangeId, Pick, PickRequest, Reply, Side, StreamWish, Wish,
    WorkerServices,
};

/// A configured plugin, shared by all workers.
pub trait Plugin: Send + Sync + Debug {
    /// The name that the configuration gave it.
    fn name(&self) -> &str;

    /// Makes it ready on the calling thread, warm, with what this worker has for it. Called once per worker, not per
    /// request.
    fn open(&self, worker: &WorkerServices) -> Rc<dyn Filter>;
}

/// A plugin on one worker. Calls never block and never nest; one at a time.
///
/// A method is called only if [`Filter::phases`] has its phase. A filter that has to wait for something says so with
/// [`Flow::Wait`] and is asked again through [`Filter::resume`]; meanwhile it serves other exchanges.
pub trait Filter: Debug {
    /// The name that the configuration gave it.
    fn name(&self) -> &str;

    /// The phases that it has.
    fn phases(&self) -> Phases;

    /// What its failure means.
    fn on_error(&self) -> Option<OnError>;

    /// Whether its response phases read the request's headers, which then are kept after forwarding.
    fn keeps_request(&self) -> bool {
        false
    }

    /// Whether it asks how clients came through TLS. Its connection filter is then asked when that is known.
    fn reads_tls(&self) -> bool {
        false
    }

    /// A connection was accepted, and where the filter reads TLS, its handshake is done.
    ///
    /// # Errors
    /// The plugin failed: the chain follows [`Filter::on_error`].
    fn connection(&self, _connection: &Connection) -> Result<Admission, Failure> {
        Ok(Admission::Accept)
    }

    /// The request's head is complete. It may be changed.
    ///
    /// # Errors
    /// The plugin failed: the chain follows [`Filter::on_error`]. Where that is open, it has changed nothing.
    fn request(&self, _exchange: &mut Box<Exchange>) -> Result<Flow, Failure> {
        Ok(Flow::Proceed)
    }

    /// The response's head is there. It may be changed.
    ///
    /// # Errors
    /// The plugin failed: the chain follows [`Filter::on_error`]. Where that is open, it has changed nothing.
    fn response(&self, _exchange: &mut Box<Exchange>) -> Result<Flow, Failure> {
        Ok(Flow::Proceed)
    }

    /// A body is about to come, of so many bytes where that was announced. The head may be changed: nothing of it has gone
    /// on. Not called for what is known to have no body.
    ///
    /// # Errors
    /// The plugin failed: the chain follows [`Filter::on_error`]. Where that is open, it has changed nothing.
    fn body(
        self: Rc<Self>,
        _side: Side,
        _exchange: &mut Box<Exchange>,
        _announced: Option<u64>,
    ) -> Result<Wish, Failure> {
        Ok(Wish::Skip)
    }

    /// A connection that carries anything is about to, and no endpoint of it is chosen. Its bytes are none of
    /// [`Filter::body`]'s.
    ///
    /// # Errors
    /// The plugin failed: the chain follows [`Filter::on_error`].
    fn stream(self: Rc<Self>, _exchange: &mut Box<Exchange>) -> Result<StreamWish, Failure> {
        Ok(StreamWish::Skip)
    }

    /// Goes on with an exchange that waits in this phase: called after [`Flow::Wait`], and again whenever the context was
    /// woken, until it is ready. Never ready with [`Flow::Wait`].
    ///
    /// # Errors
    /// The plugin failed: the chain follows [`Filter::on_error`]. Where that is open, it has changed nothing.
    fn resume(
        &self,
        _phase: Phase,
        _exchange: &mut Box<Exchange>,
        _context: &mut Context<'_>,
    ) -> Poll<Result<Flow, Failure>> {
        Poll::Ready(Err(Failure::Absurd("it waits for nothing".into())))
    }

    /// Whether it keeps something for each exchange, and so has to hear of its end through [`Filter::left`].
    fn keeps_exchanges(&self) -> bool {
        false
    }

    /// This exchange, whose request came to the filter, is over, however it ended: what is kept for it, and whatever waits
    /// for it, is dropped. Only called where [`Filter::keeps_exchanges`] says so.
    fn left(&self, _exchange: ExchangeId) {}

    /// An endpoint is needed.
    ///
    /// # Errors
    /// The plugin failed: the chain follows [`Filter::on_error`].
    fn pick(
        &self,
        _exchange: &mut Box<Exchange>,
        _request: &PickRequest,
        _candidates: &[Candidate],
    ) -> Result<Pick, Failure> {
        Ok(Pick::None)
    }

    /// An exchange began. May be kept until [`Filter::flush`].
    fn begun(&self, _begun: &Begun) {}

    /// An exchange ended. May be kept until [`Filter::flush`].
    fn ended(&self, _ended: &Ended) {}

    /// Hands over whatever [`Filter::begun`] and [`Filter::ended`] have kept. Called within 10 ms of them.
    fn flush(&self) {}

    /// How often [`Filter::tick`] is to be called, on one worker alone; none for never.
    fn tick_interval(&self) -> Option<Duration> {
        None
    }

    /// Its interval has passed, or more of them: those that were missed are not caught up with.
    fn tick(&self) {}
}

/// What a filter says of a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Go on.
    Accept,
    /// Close without a byte.
    Refuse,
}

/// What a filter says of an exchange.
#[derive(Debug, Clone)]
pub enum Flow {
    /// Go on with the next plugin.
    Proceed,
    /// Answer with this: in a box, because what is rare should not make every answer of a filter long.
    Reply(Box<Reply>),
    /// Close the connection, or reset the stream, without an answer.
    Close,
    /// Not decided yet: ask [`Filter::resume`].
    Wait,
}

/// What a plugin's failure means to the exchange at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// Refuse it: 503, or the connection is closed.
    Closed,
    /// Go on as if the plugin were not there.
    Open,
}

/// Why a plugin's call gave nothing to go by. Already counted and logged by whoever made it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The guest trapped; it was thrown away.
    #[error("trapped: {0}")]
    Trap(String),
    /// The guest missed its deadline; it was thrown away.
    #[error("missed its deadline of {0} ms")]
    Deadline(u64),
    /// The guest was refused memory and trapped; it was thrown away.
    #[error("used up its memory limit of {0} bytes")]
    Memory(usize),
    /// The guest recursed too deep; it was thrown away.
    #[error("used up its stack")]
    Stack,
    /// The guest itself said that it failed.
    #[error("failed: {0}")]
    Reported(String),
    /// The guest's answer is outside what the contract allows.
    #[error("answered what the contract does not allow: {0}")]
    Absurd(String),
    /// There is no plugin: it did not load, or its instance could not be made.
    #[error("is not available: {0}")]
    Unavailable(String),
}

/// A phase of a plugin's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// [`Filter::connection`].
    Connection,
    /// [`Filter::request`].
    Request,
    /// [`Filter::body`] of [`Side::Request`].
    RequestBody,
    /// [`Filter::pick`].
    Balance,
    /// [`Filter::response`].
    Response,
    /// [`Filter::body`] of [`Side::Response`].
    ResponseBody,
    /// [`Filter::stream`].
    Stream,
    /// [`Filter::begun`] and [`Filter::ended`].
    Observe,
    /// [`Filter::tick`].
    Tick,
}

impl Phase {
    /// All of them, in the order of an exchange, of which the last is no part.
    pub const ALL: [Self; 9] = [
        Self::Connection,
        Self::Request,
        Self::RequestBody,
        Self::Balance,
        Self::Response,
        Self::ResponseBody,
        Self::Stream,
        Self::Observe,
        Self::Tick,
    ];

    /// The name of the phase's interface in the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection-filter",
            Self::Request => "request-filter",
            Self::RequestBody => "request-body-filter",
            Self::Balance => "balancer",
            Self::Response => "response-filter",
            Self::ResponseBody => "response-body-filter",
            Self::Stream => "stream-filter",
            Self::Observe => "observer",
            Self::Tick => "ticker",
        }
    }

    /// Its place in [`Phase::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Connection => 0,
            Self::Request => 1,
            Self::RequestBody => 2,
            Self::Balance => 3,
            Self::Response => 4,
            Self::ResponseBody => 5,
            Self::Stream => 6,
            Self::Observe => 7,
            Self::Tick => 8,
        }
    }
}

/// A set of phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Phases(u16);

impl Phases {
    /// This set and one more phase.
    #[must_use]
    pub fn with(self, phase: Phase) -> Self {
        Self(self.0 | 1 << phase.index())
    }

    /// Whether the phase is in it.
    #[must_use]
    pub fn has(self, phase: Phase) -> bool {
        self.0 & 1 << phase.index() != 0
    }

    /// The phases in it, in the order of an exchange.
    pub fn iter(self) -> impl Iterator<Item = Phase> {
        Phase::ALL.into_iter().filter(move |phase| self.has(*phase))
    }
}

impl FromIterator<Phase> for Phases {
    fn from_iter<I: IntoIterator<Item = Phase>>(phases: I) -> Self {
        phases.into_iter().fold(Self::default(), Self::with)
    }
}

/// Stands in for a plugin that did not load: every request fails as its policy says, and the reason is kept.
#[derive(Debug, Clone)]
pub struct Unavailable {
    /// The name that the configuration gave the plugin.
    pub name: String,
    /// Its policy.
    pub on_error: Option<OnError>,
    /// The phases that it would have had, where that much is known.
    pub phases: Option<Phases>,
    /// Why there is none.
    pub reason: String,
}

impl Plugin for Unavailable {
    fn name(&self) -> &str {
        &self.name
    }

    fn open(&self, _worker: &WorkerServices) -> Rc<dyn Filter> {
        Rc::new(self.clone())
    }
}

impl Filter for Unavailable {
    fn name(&self) -> &str {
        &self.name
    }

    // The request phase is the one that guards an exchange, and where there are no requests the stream's: they stand for every
    // phase that could have refused one, for a plugin of which nothing is known, and for a policy that was written as closed.
    fn phases(&self) -> Phases {
        let guard = Phases::default().with(Phase::Request).with(Phase::Stream);
        let known = self.phases.filter(|phases| phases.iter().next().is_some());
        let Some(phases) = known else { return guard };
        let could_refuse = Phase::ALL
            .into_iter()
            .filter(|phase| !matches!(phase, Phase::Balance | Phase::Observe | Phase::Tick))
            .any(|phase| phases.has(phase));
        let balances = phases.has(Phase::Balance).then_some(Phase::Balance);
        let guarded = could_refuse || self.on_error == Some(OnError::Closed);
        if guarded { balances.into_iter().fold(guard, Phases::with) } else { balances.into_iter().collect() }
    }

    fn on_error(&self) -> Option<OnError> {
        self.on_error
    }

    fn request(&self, _exchange: &mut Box<Exchange>) -> Result<Flow, Failure> {
        Err(Failure::Unavailable(self.reason.clone()))
    }

    fn stream(self: Rc<Self>, _exchange: &mut Box<Exchange>) -> Result<StreamWish, Failure> {
        Err(Failure::Unavailable(self.reason.clone()))
    }

    fn pick(
        &self,
        _exchange: &mut Box<Exchange>,
        _request: &PickRequest,
        _candidates: &[Candidate],
    ) -> Result<Pick, Failure> {
        Err(Failure::Unavailable(self.reason.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_load_refuses_only_what_it_could_have_refused() {
        let guard = &[Phase::Request, Phase::Stream];
        check(None, guard);
        check(Some(&[]), guard);
        check(Some(&[Phase::Request, Phase::Observe]), guard);
        check(Some(&[Phase::Connection]), guard);
        check(Some(&[Phase::Response]), guard);
        check(Some(&[Phase::RequestBody]), guard);
        check(Some(&[Phase::ResponseBody]), guard);
        check(Some(&[Phase::Stream]), guard);
        check(Some(&[Phase::Balance]), &[Phase::Balance]);
        check(Some(&[Phase::Observe]), &[]);
        check(Some(&[Phase::Tick]), &[]);
    }

    fn check(phases: Option<&[Phase]>, stood_in_for: &[Phase]) {
        let phases = phases.map(|phases| phases.iter().copied().collect());
        let mut unavailable = Unavailable { name: String::new(), on_error: None, phases, reason: String::new() };
        assert_eq!(Filter::phases(&unavailable).iter().collect::<Vec<_>>(), stood_in_for);
        unavailable.on_error = Some(OnError::Closed);
        let phases = Filter::phases(&unavailable);
        assert!(phases.has(Phase::Request) && phases.has(Phase::Stream), "closed means that not one request passes");
    }
}
