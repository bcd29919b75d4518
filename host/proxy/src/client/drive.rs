//! One client's connection while it is served: how long it may take, and how it ends.

use std::error::Error as _;
use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use palisade_contract::Refusal;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::activity::{Activity, Verdict};
use crate::site::{Listening, Site};

/// How a connection is ended in good order, and how long one is still listened to that has just been answered.
pub(super) struct End<F> {
    pub(super) close: F,
    pub(super) grace: Duration,
}

/// The first request of a client, or the next one of HTTP/1, may be on its way when the host drains: it is answered, and told
/// that it was the last.
pub(super) const DRAIN_GRACE: Duration = Duration::from_secs(1);

/// Polls a connection to its end, ending it in good order when it is idle or the host drains, and cutting it when the
/// client keeps it waiting.
pub(super) async fn drive<C, F>(
    listening: &Listening,
    activity: &Activity,
    mut served: Pin<&mut C>,
    End { close, grace }: End<F>,
    mut drain: watch::Receiver<bool>,
) -> Result<(), Refusal>
where
    C: Future<Output = hyper::Result<()>>,
    F: Fn(Pin<&mut C>),
{
    // Looks at once, and then whenever a limit could have passed.
    let mut timer = pin!(tokio::time::sleep(Duration::ZERO));
    let mut closing = false;
    loop {
        tokio::select! {
            biased;
            ended = &mut served => return ended.or_else(|error| judge(&error)),
            () = &mut timer => match verdict(activity, &listening.site()) {
                // Its grace is over, and no request is on its way that would be its last.
                _ if activity.is_draining() && !closing && !activity.is_in_head() => {
                    closing = true;
                    close(served.as_mut());
                    timer.as_mut().reset(Instant::now());
                }
                Verdict::Wait(until) => timer.as_mut().reset(until),
                Verdict::Cut(why) => return Err(why),
                Verdict::Idle if closing => return Ok(()),
                Verdict::Idle => {
                    closing = true;
                    close(served.as_mut());
                    // A client that is still there answers at once, and one that is not must not stay much longer.
                    timer.as_mut().reset(Instant::now() + listening.site().config.limits.idle_timeout / 10);
                }
            },
            _ = drain.wait_for(|drain| *drain), if !activity.is_draining() => {
                activity.drains();
                let grace = if activity.had_any() { grace } else { DRAIN_GRACE };
                match activity.rests_since().map(|since| since + grace) {
                    // It is answered, and told that it was the last.
                    Some(_) if activity.is_in_head() => {}
                    Some(end) if end > Instant::now() => timer.as_mut().reset(end),
                    Some(_) | None if closing => {}
                    Some(_) | None => {
                        closing = true;
                        close(served.as_mut());
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
