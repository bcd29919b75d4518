//! What one exchange met on its way, written down because somebody asked to have this one explained.
//!
//! A [`crate::Lease`] that has a trace writes down every call that it makes into a plugin; the host adds what it does
//! itself. An exchange without one pays for a look at an empty option.

use std::cell::RefCell;
use std::fmt::Display;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::{
    Candidate, Clock, Exchange, Failure, Flow, Handling, OnError, Over, Phase, Pick, PluginName, Side, SystemClock,
    Wish, difference,
};

/// The steps of one exchange, in order.
#[derive(Debug, Clone, Default)]
pub struct Trace(Rc<RefCell<Vec<TraceStep>>>);

/// One call into a plugin, or one thing that the host did.
#[derive(Debug, Clone, Default)]
pub struct TraceStep {
    /// The phase's interface, or a word for what the host did.
    pub stage: &'static str,
    /// The plugin; none for the host.
    pub plugin: Option<String>,
    /// What was decided.
    pub decision: String,
    /// How long it took, with whatever was waited for. None where nothing was waited for and nothing was called.
    pub time: Option<Duration>,
    /// The plugin is in shadow: what it decided was not followed.
    pub in_shadow: bool,
    /// What of the head it changed: lines that are gone are marked with `-`, new ones with `+`.
    pub changes: Vec<String>,
    /// For a balancer, what it chose among.
    pub candidates: Vec<Candidate>,
    /// For a body, what went through.
    pub body: Option<BodyFigures>,
}

/// What of a body went through one filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BodyFigures {
    /// Pieces that the filter was shown.
    pub pieces: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// What it made of them, in bytes.
    pub bytes_out: u64,
}

impl Trace {
    /// The longest trace: what comes after so many steps is not written down.
    pub const STEPS_MAX: usize = 256;

    /// Adds a step, and says which one it is.
    pub fn add(&self, step: TraceStep) -> usize {
        let mut steps = self.0.borrow_mut();
        if steps.len() < Self::STEPS_MAX {
            steps.push(step);
            return steps.len() - 1;
        }
        usize::MAX
    }

    /// Everything so far; nothing is left.
    #[must_use]
    pub fn take(&self) -> Vec<TraceStep> {
        self.0.take()
    }

    /// What was picked, and by whom.
    pub(crate) fn pick(
        &self,
        (plugin, began): (Option<&str>, Instant),
        candidates: &[Candidate],
        (failure, picked): (Option<&Failure>, &Result<Pick, PluginName>),
    ) {
        let decision = match (failure, picked) {
            (None, _) => String::new(),
            (Some(failure), Ok(_)) => format!("{failure}: the host picks; "),
            (Some(failure), Err(_)) => failed(failure, OnError::Closed),
        };
        let decision = match picked {
            Ok(Pick::Endpoint(index)) => format!("{decision}candidate {index}"),
            Ok(Pick::None) => format!("{decision}none"),
            Err(_) => decision,
        };
        let time = Some(now().saturating_duration_since(began));
        let (stage, plugin, candidates) = (Phase::Balance.as_str(), plugin.map(str::to_owned), candidates.to_vec());
        self.add(TraceStep { stage, plugin, decision, time, candidates, ..TraceStep::default() });
    }

    /// Before a call that may change this head.
    pub(crate) fn watch(&self, side: Side, exchange: &Exchange) -> Box<Watch> {
        Box::new(Watch { trace: self.clone(), side, head: head(side, exchange), began: now() })
    }

    /// The body that goes through the filter of this step.
    pub(crate) fn body(&self, step: usize) -> BodyTrace {
        BodyTrace { trace: self.clone(), step }
    }
}

/// One call under way.
#[derive(Debug)]
pub(crate) struct Watch {
    trace: Trace,
    side: Side,
    head: Vec<String>,
    began: Instant,
}

impl Watch {
    /// It came to this.
    pub(crate) fn ended(self, (phase, plugin): (Phase, &str), decision: String, exchange: &Exchange) -> usize {
        let changes = difference::between(&self.head, &head(self.side, exchange));
        let time = Some(now().saturating_duration_since(self.began));
        let (stage, plugin) = (phase.as_str(), Some(plugin.to_owned()));
        self.trace.add(TraceStep { stage, plugin, decision, time, changes, ..TraceStep::default() })
    }

    /// It came to this, which is not followed, on a copy of the exchange.
    pub(crate) fn ended_in_shadow(self, (phase, plugin): (Phase, &str), opinion: &dyn Display) {
        let time = Some(now().saturating_duration_since(self.began));
        let (stage, plugin, decision) = (phase.as_str(), Some(plugin.to_owned()), opinion.to_string());
        self.trace.add(TraceStep { stage, plugin, decision, time, in_shadow: true, ..TraceStep::default() });
    }
}

/// The pieces of one body that go through one filter.
#[derive(Debug)]
pub(crate) struct BodyTrace {
    trace: Trace,
    step: usize,
}

impl BodyTrace {
    /// A piece of so many bytes became one of so many others, in the time since `began`.
    pub(crate) fn piece(&self, began: Instant, (bytes_in, bytes_out): (usize, usize), failure: Option<&Failure>) {
        let mut steps = self.trace.0.borrow_mut();
        let Some(step) = steps.get_mut(self.step) else { return };
        let figures = step.body.get_or_insert_default();
        figures.pieces += 1;
        figures.bytes_in += u64::try_from(bytes_in).unwrap_or(u64::MAX);
        figures.bytes_out += u64::try_from(bytes_out).unwrap_or(u64::MAX);
        step.time = Some(step.time.unwrap_or_default() + now().saturating_duration_since(began));
        if let Some(failure) = failure {
            step.decision = format!("{}; then it {failure}", step.decision);
        }
    }
}

/// What a filter said of a head, in words.
pub(crate) fn flow(flow: &Result<Flow, Failure>, on_error: OnError) -> String {
    match flow {
        Ok(Flow::Proceed) => "proceed".into(),
        Ok(Flow::Reply(reply)) => format!("reply {}", reply.status.as_u16()),
        Ok(Flow::Close) => "close".into(),
        Ok(Flow::Wait) => failed(&"waits for nothing", on_error),
        Err(failure) => failed(failure, on_error),
    }
}

/// How a filter wants a body, in words.
pub(crate) fn wish(wish: &Result<Wish, Failure>, on_error: OnError) -> String {
    match wish {
        Ok(Wish::Skip) => "skip".into(),
        Ok(Wish::Take(Handling::Stream(_), _)) => "stream".into(),
        Ok(Wish::Take(Handling::Buffer { bytes_max, over }, _)) => {
            let over = match over {
                Over::Skip => "skip",
                Over::Refuse => "refuse",
            };
            format!("buffer up to {bytes_max} bytes, {over} what is longer")
        }
        Ok(Wish::Reply(reply)) => format!("reply {}", reply.status.as_u16()),
        Ok(Wish::Close) => "close".into(),
        Err(failure) => failed(failure, on_error),
    }
}

/// A failure, and what it means.
pub(crate) fn failed(failure: &dyn Display, on_error: OnError) -> String {
    let meaning = match on_error {
        OnError::Open => "the exchange goes on without it (on_error = \"open\")",
        OnError::Closed => "the exchange is refused (on_error = \"closed\")",
    };
    format!("{failure}: {meaning}")
}

/// The time, for those who measure a step.
pub(crate) fn now() -> Instant {
    SystemClock.now()
}

fn head(side: Side, exchange: &Exchange) -> Vec<String> {
    match side {
        Side::Request => difference::request(&exchange.request),
        Side::Response => exchange.response.as_ref().map(difference::response).unwrap_or_default(),
    }
}
