//! One endpoint is asked on one connection: sent to, and awaited for as long as it may take.

use std::pin::{Pin, pin};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use palisade_contract::{Name, Outcome};

use crate::body::{RequestBody, Upload};
use crate::error::RequestError;
use crate::upstream::connect::{Wanted, connect};
use crate::upstream::late::{Late, within};
use crate::upstream::letter::{Keep, Letter};
use crate::upstream::missed::{Missed, too_late, unanswered_by};
use crate::upstream::rest::REST_MAX;
use crate::upstream::tries::{Miss, Tries};
use crate::upstream::unanswered::Unanswered;
use crate::upstream::{Connection, Pools};

/// How a request is sent on one connection.
pub(super) struct Sending<'a> {
    pub(super) letter: &'a mut Letter,
    pub(super) upload: &'a Upload,
    pub(super) wanted: Wanted,
    pub(super) keep: Keep,
    pub(super) response_timeout: Duration,
    /// Those that have missed before.
    pub(super) tries: &'a Tries,
}

impl Pools {
    /// Sends on this connection. Where it had been used before and is found closed, the request goes out once more on another
    /// one to the same endpoint: if nothing of it was sent, or if sending it twice does no harm. So does one that the endpoint
    /// says it has not looked at. What it was answered on is in its place then.
    pub(super) async fn ask(
        &self,
        place: &mut Option<Connection>,
        Sending { letter, upload, wanted, keep, response_timeout, tries }: &mut Sending<'_>,
    ) -> Result<Response<Incoming>, Missed> {
        let mut is_first = true;
        loop {
            let nothing = || Missed::unanswered(Miss::Final, RequestError::NoEndpoint);
            let connection = place.as_mut().ok_or_else(nothing)?;
            let mut request = Some(letter.take(connection, *keep).ok_or_else(nothing)?);
            connection.pool().monitor.asked();
            let is_used = is_first && connection.is_used();
            let times = (self.short(letter, *keep), *response_timeout);
            let asked = (*upload, &**letter, *tries);
            let unanswered = match self.head(connection, &mut request, asked, times).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(unanswered)) => unanswered,
                Err(late) => return Err(too_late(connection, &late)),
            };
            let is_unsent = unanswered.is_unsent();
            if let Some(request) = request.filter(|_| is_unsent) {
                letter.came_back(request);
            }
            let goes_again = if is_unsent {
                is_used
            } else {
                is_first && letter.has_spare() && unanswered.is_of_connection(is_used, letter.is_idempotent())
            };
            if !goes_again {
                let miss = if is_unsent { Miss::Connect } else { unanswered.miss() };
                return Err(unanswered_by(connection, &unanswered, upload, miss));
            }
            is_first = false;
            let pool = connection.pool().clone();
            // It counts no more among those that there may be.
            *place = None;
            *place = Some(connect(&pool, *wanted, self.counted.as_ref()).await.map_err(Missed::connect)?);
        }
    }

    /// After which a try is given up that can be repeated.
    fn short(&self, letter: &Letter, keep: Keep) -> Option<Duration> {
        let retries = &self.upstream.config.retries;
        let can_be = retries.on.timeout && keep == Keep::ForRetry && letter.is_idempotent() && letter.is_sendable();
        retries.per_try_timeout.filter(|_| can_be)
    }

    /// Whether a try at this endpoint that is given up now is followed by another one.
    fn is_followed(&self, letter: &Letter, tries: &Tries, endpoint: Name) -> bool {
        let retries = &self.upstream.config.retries;
        if !letter.is_sendable() {
            return false;
        }
        // Which may be chosen is not what it was when this try began.
        let mut outcomes = tries.outcomes().to_vec();
        outcomes.push((endpoint, Outcome::TimedOut));
        let Ok(next) = self.choose(None, tries.count() + 1, &outcomes) else { return false };
        let is_tried = next.endpoint.name == endpoint || tries.has(next.endpoint.name);
        if (is_tried && !retries.same_endpoint) || next.endpoint.rest().is_some_and(|rest| rest > REST_MAX) {
            return false;
        }
        let is_left = self.unsaid.has(&self.upstream.budget, retries.budget);
        if !is_left {
            self.counted.budget_exhausted();
        }
        is_left
    }

    /// Awaits an answer's head: for the shorter time, where another try can follow, and else for the longer.
    async fn head(
        &self,
        connection: &mut Connection,
        request: &mut Option<Request<RequestBody>>,
        (upload, letter, tries): (&Upload, &Letter, &Tries),
        (short, long): (Option<Duration>, Duration),
    ) -> Result<Result<Response<Incoming>, Unanswered>, Late> {
        let endpoint = connection.pool().endpoint.name;
        let Some(sender) = connection.sender() else { return std::future::pending().await };
        let mut answer: Pin<&mut _> = pin!(sender.send(request));
        let Some(short) = short.filter(|short| *short < long) else { return within(long, upload, answer).await };
        match within(short, upload, answer.as_mut()).await {
            Err(Late::Endpoint) if !self.is_followed(letter, tries, endpoint) => {
                within(long.saturating_sub(short), upload, answer).await
            }
            sooner => sooner,
        }
    }
}
