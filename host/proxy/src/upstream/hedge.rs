//! A request that is slow to be answered goes to a second endpoint beside the first: the first good answer is the answer, and the
//! other one is given up.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use palisade_contract::Hedged;
use tokio::time::Instant;

use crate::error::RequestError;
use crate::upstream::letter::Letter;
use crate::upstream::send::{Answer, Asked, Missed, Sending};
use crate::upstream::tries::{Miss, Tries};
use crate::upstream::{Pool, Pools};

impl Pools {
    /// How long the first endpoint has to itself, where there may be a second one: for the first try of a request that has no
    /// body, may be sent twice (RFC 9110, section 9.2.2) and asks for no other protocol.
    pub(super) fn hedges_after(&self, asked: &Asked<'_>, letter: &Letter, tries: &Tries) -> Option<Duration> {
        let hedge = self.upstream.config.hedge?;
        let is_for_it = tries.count() == 0 && asked.upgrade.is_none() && self.len() > 1;
        if !is_for_it || !letter.is_idempotent() || !letter.is_without_body() {
            return None;
        }
        let usual = hedge.percentile.and_then(|percentile| self.latencies.percentile(percentile));
        Some(usual.unwrap_or_default().max(hedge.after))
    }

    /// One try, at this endpoint, and after so long at another one, too.
    pub(super) async fn once_or_twice(
        &self,
        asked: &mut Asked<'_>,
        pool: &Rc<Pool>,
        sending: Sending<'_>,
        after: Duration,
    ) -> Result<Answer, Missed> {
        self.goes_to(asked, pool);
        sending.letter.write(asked, pool.endpoint.address);
        let twin = sending.letter.twin();
        let others = (sending.upload, sending.wanted, sending.keep, sending.response_timeout);
        let notes = asked.record.notes();
        let mut first = pin!(self.reach(pool, sending, &notes));
        let began = Instant::now();
        if let Ok(sooner) = tokio::time::timeout(after, first.as_mut()).await {
            return sooner;
        }
        let Some(mut twin) = twin else { return first.await };
        let Some(second) = self.second(asked, pool, &twin).map_err(Missed::last)? else { return first.await };
        asked.record.host_did("hedge", Some(began.elapsed()), || format!("to {} as well", second.endpoint.address));
        self.goes_to(asked, &second);
        let (upload, wanted, keep, response_timeout) = others;
        let sending = Sending { letter: &mut twin, upload, wanted, keep, response_timeout };
        let mut other = pin!(self.reach(&second, sending, &notes));
        tokio::select! {
            biased;
            answer = &mut first => match answer {
                Ok(answer) => {
                    self.goes_to_again(asked, pool);
                    Ok(answer)
                }
                Err(missed) => {
                    // The second one is as good as any.
                    let answer = other.await;
                    if answer.is_ok() { self.counted.hedged(Hedged::Won) }
                    answer.map_err(|_| missed)
                }
            },
            answer = &mut other => match answer {
                Ok(answer) => {
                    // It would have taken as long, at least.
                    self.latencies.add(began.elapsed());
                    self.counted.hedged(Hedged::Won);
                    Ok(answer)
                }
                Err(_) => {
                    self.goes_to_again(asked, pool);
                    first.await
                }
            },
        }
    }

    /// Another endpoint than this one, if there is one and the budget allows it.
    fn second(&self, asked: &mut Asked<'_>, first: &Pool, twin: &Letter) -> Result<Option<Rc<Pool>>, RequestError> {
        let mut tries = Tries::default();
        tries.missed(first.endpoint.name, Miss::Timeout);
        twin.lend(asked.exchange);
        let other = match self.endpoint(asked, &tries) {
            Ok(other) if !other.endpoint.is_same(&first.endpoint) => other,
            Ok(_) | Err(RequestError::NoEndpoint) => return Ok(None),
            Err(error) => return Err(error),
        };
        if !self.unsaid.take(&self.upstream.budget, self.upstream.config.retries.budget) {
            self.counted.hedged(Hedged::Denied);
            return Ok(None);
        }
        self.counted.hedged(Hedged::Sent);
        Ok(Some(other))
    }
}
