//! Who is keeping a client's connection waiting, and for how long.
//!
//! Each connection has one of these and one timer. Reads, writes and bodies only note what happened; the timer looks at
//! the notes when the earliest limit could have passed, so a request costs no timer of its own.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use palisade_config::ListenerLimits;
use palisade_contract::Refusal;
use tokio::time::Instant;

use crate::client::Ticket;
use crate::guard::Fault;
use crate::moment;

/// What one client's connection is doing.
#[derive(Debug)]
pub(crate) struct Activity {
    /// Exchanges whose response has not ended.
    active: Cell<usize>,
    /// Exchanges of which anything is left: a body can outlive its own.
    left: Cell<usize>,
    /// There was an exchange.
    had_any: Cell<bool>,
    /// Of those, the ones of which a body waits for the client.
    awaiting_client: Cell<usize>,
    /// How long a body may wait for the client: the longest that is allowed to any exchange under way.
    patience: Cell<Option<Duration>>,
    /// The last time that a body moved, an exchange ended, or the connection was ready.
    moved: Cell<Instant>,
    /// The first byte after that, while no exchange is active: the beginning of a head.
    head_began: Cell<Option<Instant>>,
    /// A head has begun behind the last one of which there was an exchange.
    next_began: Cell<bool>,
    /// Bytes that came from an HTTP/1 client, ever.
    received: Cell<u64>,
    /// From when on what is under way can be slow.
    slow_from: Cell<Instant>,
    /// Bytes that have moved either way since its head began, or ended.
    bytes: Cell<u64>,
    /// Its place among the slow ones.
    pub(crate) ticket: Ticket,
    /// The last exchange left some of its request's body unread.
    left_unread: Cell<bool>,
    /// A response broke off.
    broke_off: Cell<bool>,
    /// The client is told the end of a response by the end of the connection.
    ends_by_closing: Cell<bool>,
    /// The connection is to end.
    draining: Cell<bool>,
    /// What its guard ended the connection for.
    fault: Cell<Option<Fault>>,
}

/// How long something is under way before it can be slow, and how many bytes a second are not.
const SLOW_AFTER: Duration = Duration::from_secs(1);
const SLOW_BYTES_PER_SECOND: u64 = 16 << 10;

/// What the timer is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Look again then.
    Wait(Instant),
    /// No request for too long: close in good order.
    Idle,
    /// The client kept us waiting for too long: cut.
    Cut(Refusal),
}

impl Activity {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self {
            active: Cell::new(0),
            left: Cell::new(0),
            had_any: Cell::new(false),
            awaiting_client: Cell::new(0),
            patience: Cell::new(None),
            moved: Cell::new(moment::now()),
            head_began: Cell::new(None),
            next_began: Cell::new(false),
            received: Cell::new(0),
            slow_from: Cell::new(moment::now()),
            bytes: Cell::new(0),
            ticket: Ticket::default(),
            left_unread: Cell::new(false),
            broke_off: Cell::new(false),
            ends_by_closing: Cell::new(false),
            draining: Cell::new(false),
            fault: Cell::new(None),
        })
    }

    /// So many bytes came from the client.
    pub(crate) fn bytes_came(&self, bytes: usize) {
        self.received.set(self.received.get().wrapping_add(u64::try_from(bytes).unwrap_or_default()));
        if self.active.get() == 0 && self.head_began.get().is_none() {
            self.begins_head();
        }
        self.bytes_moved(bytes);
    }

    /// So many bytes moved, whichever way.
    pub(crate) fn bytes_moved(&self, bytes: usize) {
        self.bytes.set(self.bytes.get().saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX)));
    }

    fn begins_head(&self) {
        let now = moment::now();
        self.head_began.set(Some(now));
        self.begins(now);
    }

    fn begins(&self, now: Instant) {
        self.slow_from.set(now + SLOW_AFTER);
        self.bytes.set(0);
    }

    /// Whether what is under way has been for a while, and next to nothing of it has moved.
    pub(crate) fn is_slow(&self) -> bool {
        let (now, from) = (moment::now(), self.slow_from.get());
        if now < from || (self.active.get() == 0 && !self.is_in_head()) {
            return false;
        }
        let took = now.saturating_duration_since(from) + SLOW_AFTER;
        self.bytes.get() < took.as_secs().saturating_mul(SLOW_BYTES_PER_SECOND)
    }

    /// Whether what came last ends within a head. One that came with the request before it begins when that is answered: until
    /// then nobody waits for it.
    pub(crate) fn next_head(&self, has_begun: bool) {
        self.next_began.set(has_begun);
        self.begins_next();
    }

    fn begins_next(&self) {
        if self.next_began.get() && self.active.get() == 0 && self.head_began.get().is_none() {
            self.begins_head();
        }
    }

    /// Bytes that came from the client up to now.
    pub(crate) fn received(&self) -> u64 {
        self.received.get()
    }

    /// A head is complete. The exchange lasts until the guard is dropped.
    pub(crate) fn exchange(self: &Rc<Self>) -> ActiveExchange {
        self.active.set(self.active.get() + 1);
        self.left.set(self.left.get() + 1);
        self.had_any.set(true);
        self.head_began.set(None);
        self.left_unread.set(false);
        let now = moment::now();
        self.moved.set(now);
        self.begins(now);
        ActiveExchange(Rc::new(Waits { activity: self.clone(), bodies: Cell::new(0), is_over: Cell::new(false) }))
    }

    /// Whether the client may still be sending a body that nobody reads.
    pub(crate) fn has_unread(&self) -> bool {
        self.left_unread.get()
    }

    /// The client is of HTTP/1.0, to which the end of the connection is the end of a response.
    pub(crate) fn ends_by_closing(&self) {
        self.ends_by_closing.set(true);
    }

    /// Whether the end of the connection may be the end of a response.
    pub(crate) fn is_ended_by_closing(&self) -> bool {
        self.ends_by_closing.get()
    }

    /// The connection is to end: an answer to come is the last one.
    pub(crate) fn drains(&self) {
        self.draining.set(true);
    }

    /// Whether the connection is to end.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Since when no exchange is under way.
    pub(crate) fn rests_since(&self) -> Option<Instant> {
        (self.active.get() == 0).then(|| self.moved.get())
    }

    /// Since when nothing is under way and nothing is left of what was, of a connection that is to go on.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let is_busy = self.left.get() > 0 || self.is_in_head() || self.has_unread() || self.is_draining();
        self.rests_since().filter(|_| !is_busy)
    }

    /// Whether a head has begun, and not ended.
    pub(crate) fn is_in_head(&self) -> bool {
        self.head_began.get().is_some()
    }

    /// Whether there was an exchange.
    pub(crate) fn had_any(&self) -> bool {
        self.had_any.get()
    }

    /// The guard of its frames ends the connection.
    pub(crate) fn has_fault(&self, fault: Fault) {
        self.fault.set(Some(fault));
    }

    /// What for, if it was that.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault.get()
    }

    /// Whether an orderly end of the connection would make a response that broke off look like a whole one.
    pub(crate) fn must_not_end_well(&self) -> bool {
        self.broke_off.get() && self.ends_by_closing.get()
    }

    /// What is to be done at this moment. `patience_min` is the least that [`ActiveExchange::patience`] can be told.
    pub(crate) fn verdict(&self, limits: &ListenerLimits, patience_min: Duration, now: Instant) -> Verdict {
        let shortest = patience_min.min(limits.header_timeout).min(limits.idle_timeout);
        let moved = self.moved.get();
        let (end, verdict) = if let Some(began) = self.head_began.get() {
            (began + limits.header_timeout, Verdict::Cut(Refusal::HeaderTimeout))
        } else if self.active.get() == 0 {
            (moved + limits.idle_timeout, Verdict::Idle)
        } else if self.awaiting_client.get() == self.active.get() {
            // One stream that does not wait for the client keeps the connection.
            (moved + self.patience.get().unwrap_or(limits.body_timeout), Verdict::Cut(Refusal::BodyTimeout))
        } else {
            return Verdict::Wait(now + shortest);
        };
        // What happens meanwhile may start a shorter limit. No limit ends sooner than the shortest from now, so looking
        // again by then finds each one exactly at its end.
        if now >= end { verdict } else { Verdict::Wait(end.min(now + shortest)) }
    }
}

/// An exchange under way on its connection.
#[derive(Debug)]
pub(crate) struct ActiveExchange(Rc<Waits>);

/// How many bodies of one exchange wait for the client. While any does, the exchange counts as one that waits.
#[derive(Debug)]
struct Waits {
    activity: Rc<Activity>,
    bodies: Cell<usize>,
    /// A request's body can outlive its exchange, and then counts no longer.
    is_over: Cell<bool>,
}

impl Waits {
    fn begins(&self) {
        if self.bodies.replace(self.bodies.get() + 1) == 0 && !self.is_over.get() {
            self.activity.awaiting_client.set(self.activity.awaiting_client.get() + 1);
        }
    }

    fn ends(&self) {
        self.bodies.set(self.bodies.get().saturating_sub(1));
        if self.bodies.get() == 0 && !self.is_over.get() {
            self.activity.awaiting_client.set(self.activity.awaiting_client.get().saturating_sub(1));
        }
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.activity.left.set(self.activity.left.get().saturating_sub(1));
    }
}

impl ActiveExchange {
    /// How long its bodies may wait for the client.
    pub(crate) fn patience(&self, patience: Duration) {
        let known = self.0.activity.patience.get();
        self.0.activity.patience.set(Some(known.map_or(patience, |known| known.max(patience))));
    }

    /// The place where one body of this exchange notes whom it waits for.
    pub(crate) fn body(&self) -> BodyActivity {
        BodyActivity { waits: self.0.clone(), awaits_client: false }
    }
}

impl Drop for ActiveExchange {
    fn drop(&mut self) {
        let Waits { activity, bodies, is_over } = self.0.as_ref();
        is_over.set(true);
        if bodies.get() > 0 {
            activity.awaiting_client.set(activity.awaiting_client.get().saturating_sub(1));
        }
        activity.active.set(activity.active.get().saturating_sub(1));
        if activity.active.get() == 0 {
            activity.patience.set(None);
        }
        activity.moved.set(moment::now());
        activity.begins_next();
    }
}

/// Notes for one body whether it waits for the client.
#[derive(Debug)]
pub(crate) struct BodyActivity {
    waits: Rc<Waits>,
    awaits_client: bool,
}

impl BodyActivity {
    /// It was dropped before its end.
    pub(crate) fn left_unread(&self) {
        self.waits.activity.left_unread.set(true);
    }

    /// The endpoint broke it off.
    pub(crate) fn broke_off(&self) {
        self.waits.activity.broke_off.set(true);
    }

    /// For another body of the same exchange.
    pub(crate) fn another(&self) -> Self {
        Self { waits: self.waits.clone(), awaits_client: false }
    }

    /// It waits for the client: to send more, or to take what was handed over.
    pub(crate) fn awaits_client(&mut self) {
        if !std::mem::replace(&mut self.awaits_client, true) {
            self.waits.begins();
        }
    }

    /// The client did its part.
    pub(crate) fn moved(&mut self) {
        self.waits.activity.moved.set(moment::now());
        self.rests();
    }

    /// It no longer waits for the client, whatever the client did.
    pub(crate) fn rests(&mut self) {
        if std::mem::take(&mut self.awaits_client) {
            self.waits.ends();
        }
    }
}

impl Drop for BodyActivity {
    fn drop(&mut self) {
        self.rests();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limits() -> ListenerLimits {
        ListenerLimits {
            header_timeout: SECOND,
            body_timeout: 2 * SECOND,
            idle_timeout: 3 * SECOND,
            ..ListenerLimits::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_is_idle_and_a_begun_head_is_cut() {
        let activity = Activity::new();
        let start = Instant::now();
        assert_eq!(activity.verdict(&limits(), SECOND, start), Verdict::Wait(start + SECOND));
        assert_eq!(activity.verdict(&limits(), SECOND, start + 3 * SECOND), Verdict::Idle);
        activity.bytes_came(1);
        assert_eq!(activity.verdict(&limits(), SECOND, start), Verdict::Wait(start + SECOND));
        tokio::time::advance(SECOND / 2).await;
        // More bytes of the same head win no time.
        activity.bytes_came(1);
        assert_eq!(activity.verdict(&limits(), SECOND, start + SECOND), Verdict::Cut(Refusal::HeaderTimeout));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_when_nothing_is_left_of_its_exchanges() {
        let activity = Activity::new();
        assert_eq!(activity.idle_since(), Some(Instant::now()));
        activity.bytes_came(1);
        assert_eq!(activity.idle_since(), None, "a head has begun");
        let exchange = activity.exchange();
        assert_eq!(activity.idle_since(), None, "there is an exchange");
        let (request, response) = (exchange.body(), exchange.body());
        drop((exchange, response));
        assert_eq!(activity.idle_since(), None, "its request outlives it");
        drop(request);
        assert_eq!(activity.idle_since(), Some(Instant::now()));
        let exchange = activity.exchange();
        exchange.body().left_unread();
        drop(exchange);
        assert_eq!(activity.idle_since(), None, "the client may go on sending");
        drop(activity.exchange());
        activity.drains();
        assert_eq!(activity.idle_since(), None, "it is to end");
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_long_and_moves_little_is_slow() {
        let activity = Activity::new();
        tokio::time::advance(5 * SECOND).await;
        assert!(!activity.is_slow(), "it is idle");
        activity.bytes_came(1);
        tokio::time::advance(SECOND - SECOND / 10).await;
        assert!(!activity.is_slow(), "its head has not begun long ago");
        tokio::time::advance(SECOND / 10).await;
        assert!(activity.is_slow());
        let exchange = activity.exchange();
        assert!(!activity.is_slow(), "that head has ended");
        tokio::time::advance(2 * SECOND).await;
        activity.bytes_came(1_000);
        assert!(activity.is_slow());
        // Whichever way they move.
        activity.bytes_moved(32 << 10);
        assert!(!activity.is_slow());
        tokio::time::advance(SECOND).await;
        assert!(activity.is_slow(), "as many in each second");
        drop(exchange);
        assert!(!activity.is_slow(), "it is idle again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_came_with_the_request_before_it_begins_when_that_is_answered() {
        let activity = Activity::new();
        activity.bytes_came(1);
        activity.next_head(true);
        let exchange = activity.exchange();
        assert!(!activity.is_in_head());
        tokio::time::advance(5 * SECOND).await;
        drop(exchange);
        let answered = Instant::now();
        assert!(activity.is_in_head());
        assert_eq!(activity.verdict(&limits(), SECOND, answered), Verdict::Wait(answered + SECOND));
        assert_eq!(activity.verdict(&limits(), SECOND, answered + SECOND), Verdict::Cut(Refusal::HeaderTimeout));
        activity.next_head(false);
        drop(activity.exchange());
        assert!(!activity.is_in_head());
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_client_that_all_bodies_wait_for_is_cut() {
        let activity = Activity::new();
        let start = Instant::now();
        let (one, two) = (activity.exchange(), activity.exchange());
        let (mut first, mut second) = (one.body(), two.body());
        first.awaits_client();
        // The other one waits for the upstream, which is no fault of the client's.
        assert!(matches!(activity.verdict(&limits(), SECOND, start + 60 * SECOND), Verdict::Wait(_)));
        second.awaits_client();
        assert_eq!(activity.verdict(&limits(), SECOND, start + 2 * SECOND), Verdict::Cut(Refusal::BodyTimeout));
        tokio::time::advance(SECOND).await;
        second.moved();
        second.awaits_client();
        assert_eq!(activity.verdict(&limits(), SECOND, start + 2 * SECOND), Verdict::Wait(start + 3 * SECOND));
        drop((first, second, one, two));
        assert_eq!(activity.verdict(&limits(), SECOND, start + 4 * SECOND), Verdict::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_patience_of_the_exchanges_under_way_counts() {
        let activity = Activity::new();
        let start = Instant::now();
        let (one, two) = (activity.exchange(), activity.exchange());
        let (mut first, mut second) = (one.body(), two.body());
        one.patience(SECOND);
        two.patience(20 * SECOND);
        first.awaits_client();
        second.awaits_client();
        assert!(matches!(activity.verdict(&limits(), SECOND, start + 19 * SECOND), Verdict::Wait(_)));
        assert_eq!(activity.verdict(&limits(), SECOND, start + 20 * SECOND), Verdict::Cut(Refusal::BodyTimeout));
        drop((first, second, one, two));
        let three = activity.exchange();
        three.body().awaits_client();
        let mut third = three.body();
        third.awaits_client();
        three.patience(SECOND / 2);
        assert_eq!(activity.verdict(&limits(), SECOND, start + SECOND / 2), Verdict::Cut(Refusal::BodyTimeout));
    }

    #[tokio::test(start_paused = true)]
    async fn an_exchange_whose_both_bodies_wait_is_one_that_waits() {
        let activity = Activity::new();
        let start = Instant::now();
        let (one, two) = (activity.exchange(), activity.exchange());
        let (mut request, mut response) = (one.body(), one.body());
        request.awaits_client();
        response.awaits_client();
        assert!(
            matches!(activity.verdict(&limits(), SECOND, start + 60 * SECOND), Verdict::Wait(_)),
            "the other one does not"
        );
        drop(two);
        assert_eq!(activity.verdict(&limits(), SECOND, start + 2 * SECOND), Verdict::Cut(Refusal::BodyTimeout));
        // A request's body that outlives its exchange waits for nobody.
        drop((one, response));
        let _three = activity.exchange();
        assert!(matches!(activity.verdict(&limits(), SECOND, start + 60 * SECOND), Verdict::Wait(_)));
        drop(request);
        assert_eq!(activity.awaiting_client.get(), 0);
    }
}
