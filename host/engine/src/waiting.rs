//! Exchanges that wait for something their plugin has asked for, and how they go on.

use std::cell::RefCell;
use std::collections::HashMap;
use std::task::{Context, Poll};

use palisade_contract::{Exchange, ExchangeId, Failure, Fetching, Flow, Phase, WorkerServices};

use crate::abi::fetch::Progress;
use crate::before::Before;
use crate::callouts::{Answer, Place, Started, Ticket};
use crate::filter::Slot;
use crate::functions::RequestFunctions;
use crate::instance::Instance;

/// Answers that one exchange takes in without giving others a turn.
const ANSWERS_MAX: usize = 64;

/// Every exchange of one plugin on one worker that waits.
#[derive(Default)]
pub(crate) struct Waiting(RefCell<HashMap<ExchangeId, Wait>>);

/// What one exchange waits for.
pub(crate) struct Wait {
    /// The number of the instance that keeps the exchange.
    instance: u64,
    /// The heads as they were before the plugin changed them.
    before: Before,
    requests: Requests,
}

/// What the plugin has asked for on behalf of one exchange.
#[derive(Default)]
pub(crate) struct Requests {
    under_way: Vec<UnderWay>,
    /// Answers that were handed to the guest; it may not have taken them.
    handed: Vec<Ticket>,
}

struct UnderWay {
    ticket: Ticket,
    fetching: Fetching,
    place: Place,
}

impl Waiting {
    /// Whether no exchange waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Keeps what an exchange waits for, if it does.
    pub(crate) fn put(&self, exchange: ExchangeId, wait: Option<Wait>) {
        if let Some(wait) = wait {
            self.0.borrow_mut().insert(exchange, wait);
        }
    }

    /// The exchange waits no longer: whatever is under way is given up. What it waited for, if it did.
    pub(crate) fn forget(&self, exchange: ExchangeId) -> Option<Wait> {
        self.0.borrow_mut().remove(&exchange)
    }

    /// Goes on with an exchange of this plugin.
    pub(crate) fn poll(
        &self,
        slot: &Slot,
        exchange: &mut Box<Exchange>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Flow, Failure>> {
        let phase = Phase::Request;
        for _ in 0..ANSWERS_MAX {
            let Some(mut wait) = self.0.borrow_mut().remove(&exchange.id) else {
                return Poll::Ready(Err(slot.failed(phase, Failure::Absurd("it waits for nothing".into()))));
            };
            if !slot.has_instance(exchange.id, wait.instance) {
                let gone = Failure::Unavailable("the instance that waited for an answer is gone".into());
                return Poll::Ready(Err(slot.failed(phase, gone)));
            }
            let answers = wait.requests.answers(context);
            if answers.is_empty() {
                self.put(exchange.id, Some(wait));
                return Poll::Pending;
            }
            let mut next = None;
            let flow = slot.go_on(phase, exchange, |instance| {
                let Some(RequestFunctions::Async { resume, .. }) = instance.functions.request else {
                    return Ok(Flow::Proceed);
                };
                let Wait { before, requests, .. } = wait;
                let state = instance.store.data_mut();
                state.before = before;
                for (UnderWay { ticket, place, .. }, answer) in answers {
                    state.callouts.answered(ticket, answer, place);
                }
                let id = state.exchange.id.0;
                let progress = instance.call(phase, resume, (id,))?.0;
                let flow;
                (flow, next) = progressed(instance, progress, requests, slot.worker())?;
                Ok(flow)
            });
            self.put(exchange.id, next);
            if !matches!(flow, Ok(Flow::Wait)) {
                return Poll::Ready(flow);
            }
        }
        // Answers without end: others have their turn first.
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Wait {
    /// The number of the instance that keeps the exchange.
    pub(crate) fn instance(&self) -> u64 {
        self.instance
    }

    /// Nobody takes what was answered any more.
    pub(crate) fn forgotten(&self, instance: &mut Instance) {
        instance.store.data_mut().callouts.forget(&self.requests.handed);
    }
}

impl Requests {
    /// Those that are answered, with their answers. The others wake whoever asked.
    fn answers(&mut self, context: &mut Context<'_>) -> Vec<(UnderWay, Answer)> {
        let mut answers = Vec::new();
        let mut index = 0;
        while let Some(under_way) = self.under_way.get_mut(index) {
            match under_way.fetching.as_mut().poll(context) {
                Poll::Ready(answer) => {
                    let answered = self.under_way.swap_remove(index);
                    self.handed.push(answered.ticket);
                    answers.push((answered, answer));
                }
                Poll::Pending => index += 1,
            }
        }
        answers
    }
}

/// What a call of a filter that may wait has come to, and what it waits for from now on.
///
/// # Errors
/// The plugin failed: it said so, or it waits for nothing.
pub(crate) fn progressed(
    instance: &mut Instance,
    progress: Progress,
    mut requests: Requests,
    worker: &WorkerServices,
) -> Result<(Flow, Option<Wait>), Failure> {
    let callouts = &mut instance.store.data_mut().callouts;
    let (started, cancelled) = (callouts.started(), callouts.cancelled());
    let decided = match progress {
        Progress::Wait => None,
        Progress::Proceed => Some(Ok(Flow::Proceed)),
        Progress::Close => Some(Ok(Flow::Close)),
        Progress::Failed => Some(Err(instance.reported())),
        Progress::Reply => Some(instance.reply().map(Flow::Reply)),
    };
    if let Some(decided) = decided {
        instance.store.data_mut().callouts.forget(&requests.handed);
        return decided.map(|flow| (flow, None));
    }
    requests.under_way.retain(|under_way| !cancelled.contains(&under_way.ticket));
    requests.under_way.extend(started.into_iter().map(|Started { ticket, callout, place }| UnderWay {
        ticket,
        fetching: worker.fetch.fetch(callout),
        place,
    }));
    if requests.under_way.is_empty() {
        instance.store.data_mut().callouts.forget(&requests.handed);
        return Err(Failure::Absurd("it waits for nothing".into()));
    }
    let state = instance.store.data_mut();
    // What it changes before it has decided is undone together, if at all.
    let before = std::mem::replace(&mut state.before, Before::new(state.identity.on_error));
    Ok((Flow::Wait, Some(Wait { instance: instance.number, before, requests })))
}
