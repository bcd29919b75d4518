//! A request goes to an endpoint: chosen, connected to, asked, within the upstream's limits.

use std::rc::Rc;

use http::StatusCode;
use http::header::HeaderValue;
use palisade_contract::{Candidate, Clock, Ending, Health, Name, Outcome, SystemClock};
use tokio::time::Instant;

use crate::body::Upload;
use crate::error::RequestError;
use crate::moment;
use crate::record::Notes;
use crate::upstream::ask::Sending;
use crate::upstream::asked::{Answer, Asked};
use crate::upstream::choose::Unchosen;
use crate::upstream::circuit::Admitted;
use crate::upstream::connect::{Wanted, connect};
use crate::upstream::letter::{Keep, Letter};
use crate::upstream::missed::Missed;
use crate::upstream::pool::Purpose;
use crate::upstream::rest::{REST_MAX, rest};
use crate::upstream::tries::{Miss, Tries, may_repeat, pause};
use crate::upstream::{Connection, Pool, Pools};

impl Pools {
    /// Sends the request to an endpoint and awaits the answer's head. Dropping the future cancels what is under way.
    ///
    /// # Errors
    /// What the client is answered with. Whatever is the endpoint's fault has been counted.
    pub(crate) async fn send(
        &self,
        asked: &mut Asked<'_>,
        letter: &mut Letter,
        upload: &Rc<Upload>,
    ) -> Result<Answer, RequestError> {
        if !self.upstream.takes_upgrades() {
            asked.upgrade = None;
        }
        let mut admitted = self.admit()?;
        self.unsaid.request(&self.upstream.budget);
        let deadline = asked.deadline;
        let answer = match deadline {
            None => self.tries(asked, letter, upload).await,
            Some(deadline) => {
                let tries = Box::pin(self.tries(asked, letter, upload));
                let answer = tokio::time::timeout_at(deadline, tries).await;
                // Whoever kept it waiting at its end: the client may still have had its body to send.
                let is_clients = upload.awaits_client();
                let late = if is_clients { RequestError::BodyTimeout } else { RequestError::TotalTimeout };
                answer.unwrap_or(Err(late))
            }
        };
        if let Some(admitted) = &mut admitted {
            self.judge(admitted, answer.as_ref().map(|answer| answer.head.status));
        }
        let mut answer = answer?;
        if let Some(admitted) = admitted {
            answer.connection.holds(admitted);
        }
        Ok(answer)
    }

    /// A request that was let through has ended with this answer, or without one, as far as that is the upstream's doing.
    pub(super) fn judge(&self, admitted: &mut Admitted, answer: Result<StatusCode, &RequestError>) {
        match answer {
            Ok(status) => self.ended(admitted, !status.is_server_error()),
            // No endpoint has been asked.
            Err(RequestError::NoEndpoint) => {}
            Err(error) if error.ending() == Ending::UpstreamFailed => self.ended(admitted, false),
            Err(_) => {}
        }
    }

    /// Tries one endpoint after another, for as long as that does no harm, is configured and may be.
    async fn tries(
        &self,
        asked: &mut Asked<'_>,
        letter: &mut Letter,
        upload: &Rc<Upload>,
    ) -> Result<Answer, RequestError> {
        let retries = &self.upstream.config.retries;
        let purpose = if asked.upgrade.is_some() { Purpose::Upgrade } else { Purpose::Exchange };
        let wanted = Wanted::by(purpose, &asked.exchange.connection);
        let mut tries = Tries::default();
        let mut pool = self.endpoint(asked, &tries)?;
        loop {
            let keep = if self.has_more(&tries, &pool) { Keep::ForRetry } else { Keep::ForConnection };
            let response_timeout = asked.response_timeout;
            let mut sending = Sending { letter, upload, wanted, keep, response_timeout, tries: &tries };
            let tried = match self.hedges_after(asked, sending.letter, &tries) {
                None => self.once(asked, &pool, &mut sending).await,
                Some(after) => Box::pin(self.once_or_twice(asked, &pool, sending, after)).await,
            };
            let missed = match tried {
                Ok(answer) => {
                    letter.is_answered();
                    return Ok(answer);
                }
                Err(missed) => missed,
            };
            tries.missed(pool.endpoint.name, missed.miss);
            let Some(next) = self.next(asked, missed.miss, letter, &tries)? else {
                letter.is_answered();
                return missed.told();
            };
            pool = next;
            // What was answered is nobody's any more.
            drop(missed);
            let rest = pool.endpoint.rest().unwrap_or_default();
            if tries.costs() || tries.has(pool.endpoint.name) || !rest.is_zero() {
                tokio::time::sleep(pause(retries, tries.count(), &self.random).max(rest)).await;
            }
        }
    }

    /// Whether there may be another try after the next one, which is at this endpoint.
    fn has_more(&self, tries: &Tries, pool: &Pool) -> bool {
        let retries = &self.upstream.config.retries;
        tries.count() < retries.attempts && (retries.same_endpoint || self.has_other(tries, pool.endpoint.name))
    }

    /// Whether there was an endpoint to choose, when one was chosen last, that is neither this one nor was tried. Those of later
    /// levels are wanted when the others were.
    fn has_other(&self, tries: &Tries, endpoint: Name) -> bool {
        let is_other = |other: &Candidate| {
            matches!(other.health, Health::Healthy | Health::Reserve)
                && other.endpoint != endpoint
                && !tries.has(other.endpoint)
        };
        self.candidates.borrow().iter().any(is_other)
    }

    /// The endpoint that is tried next, if the request goes out once more.
    fn next(
        &self,
        asked: &mut Asked<'_>,
        miss: Miss,
        letter: &Letter,
        tries: &Tries,
    ) -> Result<Option<Rc<Pool>>, RequestError> {
        let retries = &self.upstream.config.retries;
        let is_wanted = tries.count() <= retries.attempts && may_repeat(retries, miss, letter.is_idempotent());
        if !is_wanted || !letter.is_sendable() {
            return Ok(None);
        }
        letter.lend(asked.exchange);
        let headers = asked.exchange.picked_headers.take();
        let next = self.another(asked, miss, tries);
        if !matches!(next, Ok(Some(_))) {
            // What the last one said is told with what its own pick came with.
            asked.exchange.picked_headers = headers;
        }
        next
    }

    /// Another endpoint, if there is one and the budget allows it.
    fn another(&self, asked: &mut Asked<'_>, miss: Miss, tries: &Tries) -> Result<Option<Rc<Pool>>, RequestError> {
        let retries = &self.upstream.config.retries;
        let pool = match self.endpoint(asked, tries) {
            Ok(pool) if retries.same_endpoint || !tries.has(pool.endpoint.name) => pool,
            // What the last one said is told then.
            Ok(_) | Err(RequestError::NoEndpoint) => return Ok(None),
            Err(error) => return Err(error),
        };
        if pool.endpoint.rest().is_some_and(|rest| rest > REST_MAX) {
            asked.record.host_did("retry", None, || "not once more: the endpoint asks to wait for longer".to_owned());
            return Ok(None);
        }
        if miss.costs() && !self.unsaid.take(&self.upstream.budget, retries.budget) {
            self.counted.budget_exhausted();
            asked.record.host_did("retry", None, || "not once more: the budget has none left".to_owned());
            return Ok(None);
        }
        if let Some(reason) = miss.reason() {
            self.counted.retried(reason);
            asked.record.host_did("retry", None, || format!("once more, after {}", reason.as_str()));
        }
        Ok(Some(pool))
    }

    /// The endpoint that is to be asked.
    pub(super) fn endpoint(&self, asked: &mut Asked<'_>, tries: &Tries) -> Result<Rc<Pool>, RequestError> {
        let choose = |asked: &mut Asked<'_>, outcomes: &[(Name, Outcome)]| {
            let by = asked.record.lease().map(|lease| (lease, &mut *asked.exchange));
            self.choose(by, tries.count(), outcomes)
        };
        let chosen = choose(asked, tries.outcomes()).map_err(|unchosen| match unchosen {
            Unchosen::None => RequestError::NoEndpoint,
            Unchosen::Refused(plugin) => {
                asked.record.decided_by(plugin.clone());
                RequestError::Plugin(plugin)
            }
        })?;
        let purpose = if asked.upgrade.is_some() { Purpose::Upgrade } else { Purpose::Exchange };
        if self.upstream.line().is_none() || chosen.has_room_for(purpose) {
            return Ok(chosen);
        }
        let (name, headers) = (chosen.endpoint.name, asked.exchange.picked_headers.clone());
        let pool = self.with_room(chosen, purpose, tries.outcomes(), |outcomes| choose(asked, outcomes).ok());
        if pool.endpoint.name == name {
            // What the pick of another one came with is not for this one's answer.
            asked.exchange.picked_headers = headers;
        }
        Ok(pool)
    }

    /// One try, at this endpoint.
    async fn once(&self, asked: &mut Asked<'_>, pool: &Rc<Pool>, sending: &mut Sending<'_>) -> Result<Answer, Missed> {
        self.goes_to(asked, pool);
        let notes = asked.record.notes();
        let connection = self.connection(pool, sending.wanted, &notes).await.map_err(Missed::connect)?;
        sending.letter.write(asked, pool.endpoint.address);
        self.answered(connection, sending, asked.upgrade.as_ref(), &notes).await
    }

    /// As [`Pools::once`], of a letter that is written, so that two can be under way for one exchange.
    pub(super) async fn reach(
        &self,
        pool: &Rc<Pool>,
        sending: &mut Sending<'_>,
        notes: &Notes,
    ) -> Result<Answer, Missed> {
        let connection = self.connection(pool, sending.wanted, notes).await.map_err(Missed::connect)?;
        self.answered(connection, sending, None, notes).await
    }

    /// The exchange is that of this endpoint, which is tried.
    pub(super) fn goes_to(&self, asked: &mut Asked<'_>, pool: &Pool) {
        asked.record.tries();
        pool.endpoint.is_asked();
        self.goes_to_again(asked, pool);
    }

    /// The exchange is that of this endpoint.
    pub(super) fn goes_to_again(&self, asked: &mut Asked<'_>, pool: &Pool) {
        asked.exchange.upstream = self.upstream.name;
        asked.exchange.endpoint = pool.endpoint.name;
        asked.record.endpoint(self.upstream.name, pool.endpoint.name);
    }

    async fn answered(
        &self,
        connection: Connection,
        sending: &mut Sending<'_>,
        upgrade: Option<&HeaderValue>,
        notes: &Notes,
    ) -> Result<Answer, Missed> {
        let asked_at = moment::now();
        let mut place = Some(connection);
        let response = self.ask(&mut place, sending).await?;
        let connection = place.ok_or_else(|| Missed::last(RequestError::NoEndpoint))?;
        let (status, took) = (response.status(), moment::now().saturating_duration_since(asked_at));
        notes.add("answer", Some(took), || format!("{status} from the endpoint"));
        let answer = Answer::of(response, connection, upgrade).map_err(Missed::last)?;
        answer.connection.pool().endpoint.responded(took, status);
        if self.upstream.config.hedge.is_some() {
            self.latencies.add(took);
        }
        if !self.upstream.config.retries.on.statuses.contains(&status.as_u16()) {
            return Ok(answer);
        }
        if let Some(time) = rest(&answer.head.headers, SystemClock.wall()) {
            answer.connection.pool().endpoint.rests(time);
        }
        Err(Missed::answered(answer))
    }

    /// A connection to this endpoint that has room for the request.
    async fn connection(&self, pool: &Rc<Pool>, wanted: Wanted, notes: &Notes) -> Result<Connection, RequestError> {
        if let Some(connection) = pool.offer(wanted.purpose) {
            let address = pool.endpoint.address;
            notes.add("connection", None, || format!("one that is open to {address}"));
            return Ok(connection);
        }
        let began = Instant::now();
        let connected = connect(pool, wanted, self.counted.as_ref()).await;
        notes.add("connection", Some(began.elapsed()), || match &connected {
            Ok(_) => format!("a new one to {}", pool.endpoint.address),
            Err(error) => format!("{} {error}", pool.endpoint.address),
        });
        connected
    }
}
