//! One client's connection while it is served: how long it may take, and how it ends.

use std::error::Error as _;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use palisade_contract::Refusal;
use tokio::sync::watch;
use tokio::time::Instant;

use super::slow::SlowLane;
use crate::activity::{Activity, Verdict};
use crate::moment;
use crate::site::{Listening, Site};

/// What serves a connection, as whoever watches its limits sees it.
pub(super) trait Serves {
    /// How long one is still listened to that has just been answered.
    const GRACE: Duration;

    /// Goes on. Ready at the end, and where it was woken from its rest.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Turn>;

    /// Ends it in good order.
    fn close(&mut self);

    /// Rests, where it has been idle for long enough by now. When it is to be asked again, where it only has to wait for that.
    fn rest(&mut self, now: Instant) -> Option<Instant>;
}

/// What a connection has come to.
#[derive(Debug)]
pub(super) enum Turn {
    Ended(hyper::Result<()>),
    /// It has rested, and goes on.
    Woken,
}

/// How long a connection is idle before it rests: one that is used every now and then is not taken apart each time.
pub(super) const REST_AFTER: Duration = Duration::from_secs(1);

/// The first request of a client, or the next one of HTTP/1, may be on its way when the host drains: it is answered, and told
/// that it was the last.
pub(super) const DRAIN_GRACE: Duration = Duration::from_secs(1);

/// Polls a connection to its end, ending it in good order when it is idle or the host drains, and cutting it when the
/// client keeps it waiting.
pub(super) async fn drive<C: Serves>(
    listening: &Listening,
    activity: &Activity,
    served: &mut C,
    drain: &mut watch::Receiver<bool>,
) -> Result<(), Refusal> {
    // Whenever a limit could have passed.
    let first = match verdict(activity, &listening.site()) {
        Verdict::Wait(until) => until,
        Verdict::Idle | Verdict::Cut(_) => Instant::now(),
    };
    let mut timer = pin!(tokio::time::sleep_until(first));
    let mut closing = false;
    loop {
        tokio::select! {
            biased;
            turn = poll_fn(|context| {
                ready!(SlowLane::poll(listening, activity, context));
                served.poll(context)
            }) => match turn {
                Turn::Ended(ended) => return ended.or_else(|error| judge(&error)),
                Turn::Woken => {
                    let soon = moment::now() + REST_AFTER;
                    if timer.deadline() > soon {
                        timer.as_mut().reset(soon);
                    }
                }
            },
            () = &mut timer => match verdict(activity, &listening.site()) {
                // Its grace is over, and no request is on its way that would be its last.
                _ if activity.is_draining() && !closing && !activity.is_in_head() => {
                    closing = true;
                    served.close();
                    timer.as_mut().reset(Instant::now());
                }
                Verdict::Wait(until) if closing => timer.as_mut().reset(until),
                Verdict::Wait(until) => {
                    let again = served.rest(Instant::now());
                    timer.as_mut().reset(again.map_or(until, |again| again.min(until)));
                }
                Verdict::Cut(why) => return Err(why),
                Verdict::Idle if closing => return Ok(()),
                Verdict::Idle => {
                    closing = true;
                    served.close();
                    // A client that is still there answers at once, and one that is not must not stay much longer.
                    timer.as_mut().reset(Instant::now() + listening.site().config.limits.idle_timeout / 10);
                }
            },
            _ = drain.wait_for(|drain| *drain), if !activity.is_draining() => {
                activity.drains();
                let grace = if activity.had_any() { C::GRACE } else { DRAIN_GRACE };
                match activity.rests_since().map(|since| since + grace) {
                    // It is answered, and told that it was the last.
                    Some(_) if activity.is_in_head() => {}
                    Some(end) if end > Instant::now() => timer.as_mut().reset(end),
                    Some(_) | None if closing => {}
                    Some(_) | None => {
                        closing = true;
                        served.close();
                    }
                }
            }
        }
    }
}

fn verdict(activity: &Activity, site: &Site) -> Verdict {
    activity.verdict(&site.config.limits, site.patience_min, Instant::now())
}

/// Whether the end of a connection is worth counting: clients that leave are not.
fn judge(error: &hyper::Error) -> Result<(), Refusal> {
    tracing::debug!(%error, "a client's connection ended");
    // What we end an HTTP/2 connection for. Clients that end theirs are not told apart from those that are done.
    let ours = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    match ours.filter(|error| error.is_go_away() && error.is_library()).and_then(h2::Error::reason) {
        Some(h2::Reason::ENHANCE_YOUR_CALM) => Err(Refusal::Flood),
        Some(h2::Reason::NO_ERROR) => Ok(()),
        Some(_) => Err(Refusal::Protocol),
        None if error.is_parse() || error.is_parse_too_large() => Err(Refusal::Protocol),
        None => Ok(()),
    }
}
