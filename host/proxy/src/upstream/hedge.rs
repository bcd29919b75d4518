//! A request that is slow to be answered goes to a second endpoint beside the first: the first good answer is the answer, and the
//! other one is given up.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use http::HeaderMap;
use palisade_contract::Hedged;
use tokio::time::Instant;

use crate::upstream::ask::Sending;
use crate::upstream::asked::{Answer, Asked};
use crate::upstream::letter::Letter;
use crate::upstream::missed::Missed;
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
        mut sending: Sending<'_>,
        after: Duration,
    ) -> Result<Answer, Missed> {
        self.goes_to(asked, pool);
        sending.letter.write(asked, pool.endpoint.address);
        let twin = sending.letter.twin();
        let others = (sending.upload, sending.wanted, sending.keep, sending.response_timeout, sending.tries);
        let notes = asked.record.notes();
        let mut first = pin!(self.reach(pool, &mut sending, &notes));
        let began = Instant::now();
        if let Ok(sooner) = tokio::time::timeout(after, first.as_mut()).await {
            return sooner;
        }
        let Some(mut twin) = twin else { return first.await };
        let Some((second, headers)) = self.second(asked, pool, &twin) else { return first.await };
        asked.record.host_did("hedge", Some(began.elapsed()), || format!("to {} as well", second.endpoint.address));
        self.goes_to(asked, &second);
        let (upload, wanted, keep, response_timeout, tries) = others;
        let mut sending = Sending { letter: &mut twin, upload, wanted, keep, response_timeout, tries };
        let mut other = pin!(self.reach(&second, &mut sending, &notes));
        tokio::select! {
            biased;
            answer = &mut first => match answer {
                Ok(answer) => {
                    self.goes_back(asked, pool, headers);
                    Ok(answer)
                }
                Err(missed) => {
                    // The second one is as good as any.
                    let answer = other.await;
                    if answer.is_ok() {
                        self.counted.hedged(Hedged::Won);
                    } else {
                        self.goes_back(asked, pool, headers);
                    }
                    answer.map_err(|_| missed)
                }
            },
            answer = &mut other => match answer {
                Ok(answer) => {
                    // It would have taken as long, at least.
                    self.latencies.add(began.elapsed());
                    pool.endpoint.outrun(began.elapsed());
                    self.counted.hedged(Hedged::Won);
                    Ok(answer)
                }
                Err(_) => {
                    self.goes_back(asked, pool, headers);
                    first.await
                }
            },
        }
    }

    /// The exchange is that of the first endpoint again, whose pick came with these headers.
    fn goes_back(&self, asked: &mut Asked<'_>, first: &Pool, headers: Option<Box<HeaderMap>>) {
        asked.exchange.picked_headers = headers;
        self.goes_to_again(asked, first);
    }

    /// Another endpoint than this one, if there is one and the budget allows it; and the headers that the pick of this one came
    /// with, which stay in the exchange where there is no other.
    fn second(&self, asked: &mut Asked<'_>, first: &Pool, twin: &Letter) -> Option<(Rc<Pool>, Option<Box<HeaderMap>>)> {
        let mut tries = Tries::default();
        tries.missed(first.endpoint.name, Miss::Timeout);
        twin.lend(asked.exchange);
        let headers = asked.exchange.picked_headers.take();
        let by = asked.record.lease().map(|lease| (lease, &mut *asked.exchange));
        // A balancer that fails now is no reason to give up the first, which may answer.
        let other = self.choose(by, tries.count(), tries.outcomes()).ok();
        let other = other.filter(|other| !other.endpoint.is_same(&first.endpoint) && self.may_hedge());
        let Some(other) = other else {
            asked.exchange.picked_headers = headers;
            return None;
        };
        Some((other, headers))
    }

    /// Whether the budget allows it, of which it takes one then.
    fn may_hedge(&self) -> bool {
        let is_allowed = self.unsaid.take(&self.upstream.budget, self.upstream.config.retries.budget);
        self.counted.hedged(if is_allowed { Hedged::Sent } else { Hedged::Denied });
        is_allowed
    }
}
