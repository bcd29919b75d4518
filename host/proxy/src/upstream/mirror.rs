//! Requests that another upstream gets a copy of. Nothing of a copy is ever waited for, and its answer is nobody's.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, header};
use palisade_contract::{Callout, Mirrored, RequestHead};

use crate::body::{Copy, RequestBody};
use crate::upstream::{Pools, Random};

/// Who gets copies of one route's requests, on one worker.
#[derive(Debug)]
pub(crate) struct Mirror {
    config: palisade_config::Mirror,
    pools: Rc<Pools>,
    under_way: Rc<Cell<usize>>,
    random: Random,
}

/// Says in a copy that it is one.
const MIRRORED: HeaderName = HeaderName::from_static("x-mirrored");

impl Mirror {
    pub(crate) fn new(config: &palisade_config::Mirror, pools: &Rc<Pools>) -> Self {
        Self { config: config.clone(), pools: pools.clone(), under_way: Rc::default(), random: Random::new() }
    }

    /// Sends a copy of this request, if it is one of those that are copied. What of its body goes on is copied as it does, and
    /// the copy is sent when that has come to its end.
    pub(crate) fn copy(&self, head: &RequestHead, body: &mut RequestBody) {
        let is_chosen = self.random.below(100) < self.config.percent.into();
        if !is_chosen {
            return;
        }
        let Some(place) = self.place() else { return self.pools.counted.mirrored(Mirrored::Dropped) };
        let bytes_max = u64::try_from(self.config.body_bytes).unwrap_or(u64::MAX);
        if !body.is_empty() && body.announced().is_some_and(|bytes| bytes > bytes_max) {
            return self.pools.counted.mirrored(Mirrored::TooLarge);
        }
        let copy = if body.is_empty() { None } else { body.copied(self.config.body_bytes) };
        let mut callout = self.callout(head);
        let pools = self.pools.clone();
        // It ends with its answer, by the upstream's limits, or with the body that it waits for.
        tokio::task::spawn_local(async move {
            let _place = place;
            if let Some(copy) = copy {
                callout.body = match copy.await {
                    Ok(Copy::Whole(body)) => body,
                    Ok(Copy::TooLarge) => return pools.counted.mirrored(Mirrored::TooLarge),
                    Err(_) => return pools.counted.mirrored(Mirrored::Incomplete),
                };
            }
            let is_answered = pools.discard(callout).await;
            pools.counted.mirrored(if is_answered { Mirrored::Answered } else { Mirrored::Failed });
        });
    }

    fn callout(&self, head: &RequestHead) -> Callout {
        let config = &self.pools.upstream.config;
        let mut headers = head.headers.clone();
        // What frames the body is said of the copy anew.
        [header::CONTENT_LENGTH, header::EXPECT, header::UPGRADE].iter().for_each(|name| drop(headers.remove(name)));
        headers.insert(MIRRORED, HeaderValue::from_static("1"));
        Callout {
            upstream: config.name.clone(),
            method: head.method.clone(),
            target: head.target.clone(),
            authority: head.authority.clone(),
            headers,
            body: bytes::Bytes::new(),
            timeout: config
                .total_timeout
                .unwrap_or(config.response_timeout + config.body_timeout.min(BODY_TIMEOUT_MAX)),
            body_bytes_max: ANSWER_BYTES_MAX,
        }
    }

    fn place(&self) -> Option<Place> {
        if self.under_way.get() >= self.config.requests {
            return None;
        }
        self.under_way.set(self.under_way.get() + 1);
        Some(Place(self.under_way.clone()))
    }
}

/// Where bodies may be silent for longer than that, copies may not.
const BODY_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// Of an answer, so much is read so that its connection can be used again.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A copy that is under way.
struct Place(Rc<Cell<usize>>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}
