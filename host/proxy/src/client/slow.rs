//! Clients that are slow wait for those that are not.
//!
//! A worker serves its tasks in the order in which they were woken. A thousand clients that each send a few bytes at the same moment would
//! hold up whoever comes behind them for as long as a thousand reads, records of TLS and writes take; so would as many that read
//! as little. Connections on which next to nothing has moved for a while therefore come one in each turn of the worker's loop, after everybody
//! else. That is for HTTP/1 and HTTP/2; over QUIC and for streams of TCP there are no such turns.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

use crate::activity::Activity;
use crate::site::Listening;

/// Where a worker's slow connections wait for their turn, each once, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct SlowLane {
    waiting: RefCell<VecDeque<Rc<Place>>>,
    somebody: Notify,
}

/// One connection's place.
#[derive(Debug, Default)]
struct Place {
    state: Cell<State>,
    waker: RefCell<Option<Waker>>,
}

#[derive(Debug, Clone, Copy, Default)]
enum State {
    #[default]
    Away,
    Waiting,
    Called,
}

/// What a connection keeps of the lane: nothing, until it is slow.
#[derive(Debug, Default)]
pub(crate) struct Ticket(OnceCell<Rc<Place>>);

impl SlowLane {
    /// Ready at once for who is not slow, and otherwise when it is its turn.
    pub(super) fn poll(listening: &Listening, activity: &Activity, context: &mut Context<'_>) -> Poll<()> {
        if activity.is_slow() {
            listening.site().worker.slow_lane.poll_turn(&activity.ticket, context)
        } else {
            Poll::Ready(())
        }
    }

    /// Ready when it is this one's turn, once each time; whoever comes anew comes last.
    fn poll_turn(&self, ticket: &Ticket, context: &mut Context<'_>) -> Poll<()> {
        let place = ticket.0.get_or_init(Rc::default);
        match place.state.get() {
            State::Called => {
                place.state.set(State::Away);
                return Poll::Ready(());
            }
            State::Waiting => {}
            State::Away => {
                place.state.set(State::Waiting);
                self.waiting.borrow_mut().push_back(place.clone());
                self.somebody.notify_one();
            }
        }
        *place.waker.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }

    /// Calls those who wait, for as long as the worker lives.
    pub(crate) async fn call_always(&self) {
        loop {
            self.somebody.notified().await;
            while self.call_one() {
                // Everybody else who is ready, and what the kernel has, comes before the next one.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Calls the first one, and says whether there was one.
    fn call_one(&self) -> bool {
        let Some(place) = self.waiting.borrow_mut().pop_front() else { return false };
        place.state.set(State::Called);
        if let Some(waker) = place.waker.borrow_mut().take() {
            waker.wake();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::task::{LocalSet, spawn_local, yield_now};

    use super::*;

    #[tokio::test]
    async fn the_slow_come_in_order_and_one_in_each_turn() {
        let (lane, order) = (Rc::<SlowLane>::default(), Rc::<RefCell<Vec<usize>>>::default());
        let among = LocalSet::new();
        among
            .run_until(async {
                for number in 0..100 {
                    let (lane, order) = (lane.clone(), order.clone());
                    spawn_local(async move {
                        let ticket = Ticket::default();
                        // Each has two turns, and nobody his second one before everybody's first.
                        for _ in 0..2 {
                            poll_fn(|context| lane.poll_turn(&ticket, context)).await;
                            order.borrow_mut().push(number);
                        }
                    });
                }
                let caller = lane.clone();
                spawn_local(async move { caller.call_always().await });
                let mut before = 0;
                for _ in 0..10_000 {
                    yield_now().await;
                    let served = order.borrow().len();
                    // What was called in the turn before may be served in this one.
                    assert!(served - before <= 2, "{served} after {before}");
                    before = served;
                    if served == 200 {
                        break;
                    }
                }
            })
            .await;
        let expected: Vec<usize> = (0..100).chain(0..100).collect();
        assert_eq!(*order.borrow(), expected);
    }

    #[test]
    fn who_is_woken_for_something_else_keeps_its_place_and_who_has_gone_harms_nobody() {
        let (lane, mut context) = (SlowLane::default(), Context::from_waker(Waker::noop()));
        let (first, gone, last) = (Ticket::default(), Ticket::default(), Ticket::default());
        for ticket in [&first, &gone, &last, &Ticket::default()] {
            assert!(lane.poll_turn(ticket, &mut context).is_pending());
            assert!(lane.poll_turn(ticket, &mut context).is_pending());
        }
        drop(gone);
        assert_eq!(lane.waiting.borrow().len(), 4);
        assert_eq!((0..5).filter(|_| lane.call_one()).count(), 4);
        for ticket in [&last, &first] {
            assert!(lane.poll_turn(ticket, &mut context).is_ready());
            assert!(lane.poll_turn(ticket, &mut context).is_pending(), "once each time");
        }
    }
}
