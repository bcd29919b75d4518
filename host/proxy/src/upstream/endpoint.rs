//! One address of an upstream, and what all workers know of it.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use palisade_contract::{Candidate, Health, LentName, Name, Names, Outcome, PeakEwma, UpstreamFault};
use tokio::time::Instant;

use crate::upstream::choose::millis;
use crate::upstream::counts::{Counts, Tally};
use crate::upstream::doubt::{Cost, Doubt};
use crate::upstream::group::Group;
use crate::upstream::health::{Past, Recent};
use crate::upstream::key::fnv1a;
use crate::upstream::rules::Rules;
use crate::upstream::standing::{Against, Checked, Known, Standing};
use crate::upstream::vital::{Arrival, HEALTHY, SHARE_FIRST, SHARE_WHOLE, UNHEALTHY, Vital, number};

/// One address of an upstream.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) name: Name,
    pub(crate) address: SocketAddr,
    config: palisade_config::Endpoint,
    rules: Rules,
    zone: Name,
    key: u64,
    vital: Arc<Vital>,
    /// What its name and its zone are known by: those of endpoints that are found come and go.
    _names: [LentName; 2],
}

impl Endpoint {
    pub(crate) fn new(
        config: &palisade_config::Endpoint,
        rules: Rules,
        arrival: Arrival,
        (names, group): (&Arc<Names>, &Arc<Group>),
    ) -> Self {
        let vital = Vital::new(rules, arrival, group);
        Self::of(config, rules, names, Arc::new(vital))
    }

    /// The same as it is configured now: what is known of it stays.
    pub(crate) fn again(&self, config: &palisade_config::Endpoint, rules: Rules, names: &Arc<Names>) -> Self {
        if rules.failures == 0 {
            // Nobody is doubted for failures that are not looked at any more.
            self.vital.doubt.trusts(&self.vital.group);
        }
        Self::of(config, rules, names, self.vital.clone())
    }

    fn of(config: &palisade_config::Endpoint, rules: Rules, names: &Arc<Names>, vital: Arc<Vital>) -> Self {
        let text = config.address.to_string();
        let (name, zone) = (names.lend(&text), names.lend(config.zone.as_deref().unwrap_or_default()));
        Self {
            name: name.name(),
            address: config.address,
            config: config.clone(),
            rules,
            zone: zone.name(),
            key: fnv1a(text.as_bytes()),
            vital,
            _names: [name, zone],
        }
    }

    /// As it is configured, or was found.
    pub(crate) fn config(&self) -> &palisade_config::Endpoint {
        &self.config
    }

    /// Whether it is configured like this.
    pub(crate) fn is(&self, config: &palisade_config::Endpoint, rules: Rules) -> bool {
        self.config == *config && self.rules == rules
    }

    /// Whether both are one endpoint, whatever their weights.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.vital, &other.vital)
    }

    /// Its level.
    pub(crate) fn priority(&self) -> u8 {
        self.config.priority
    }

    /// As a balancer sees it at this time.
    pub(crate) fn candidate(&self, outcome: Outcome, now_millis: u32) -> Candidate {
        let vital = &self.vital;
        Candidate {
            endpoint: self.name,
            key: self.key,
            weight: self.config.weight,
            zone: self.zone,
            priority: self.config.priority,
            health: self.health(),
            outcome,
            in_flight: vital.in_flight.load(Ordering::Relaxed),
            latency_micros: PeakEwma::from_word(vital.latency.load(Ordering::Relaxed)).micros(now_millis),
            failures: vital.failures.load(Ordering::Relaxed),
            slow_start_permille: vital.share_permille.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn health(&self) -> Health {
        match self.vital.health.load(Ordering::Relaxed) {
            HEALTHY => Health::Healthy,
            UNHEALTHY => Health::Unhealthy,
            _ => Health::Draining,
        }
    }

    /// Its health, with why and since when.
    pub(crate) fn standing(&self) -> Standing {
        self.known().standing.clone()
    }

    /// What is held against it.
    pub(crate) fn against(&self) -> Against {
        self.known().against.clone()
    }

    /// Something is held against it, or is not any more. Where its standing is another one now, what it was comes out: it is
    /// news. Balancers and those who wait for it have been told then.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Against)) -> Option<Standing> {
        let mut known = self.known();
        let was_healthy = known.was_healthy;
        let was_failing = known.standing.fails_checks;
        let before = known.change(change)?;
        let now = known.standing.clone();
        let vital = &self.vital;
        if was_failing && known.against.checked == Checked::Passed {
            self.trust();
            if vital.group.has_rests() {
                // Whoever it asked for rest, it answers others.
                vital.rests_until.lock().unwrap_or_else(PoisonError::into_inner).take();
            }
        }
        if now.health == Health::Healthy {
            vital.failures.store(0, Ordering::Relaxed);
            let is_slow = was_healthy && self.rules.slow_start > Duration::ZERO;
            vital.share_permille.store(if is_slow { SHARE_FIRST } else { SHARE_WHOLE }, Ordering::Relaxed);
            if is_slow {
                // Whoever watches the group has the share grow.
                vital.group.look();
            }
        }
        vital.health.store(number(now.health), Ordering::Relaxed);
        vital.group.changed();
        vital.told.send_replace(now);
        Some(before)
    }

    /// Resolves with the reason when checks find that it is down, at once where they have. Any task of any worker may wait:
    /// whoever has a session there that may hang gives it up then. Neither draining nor being ejected is meant: what has begun
    /// ends as it began.
    pub(crate) async fn fails_checks(&self) -> Arc<str> {
        let mut told = self.vital.told.subscribe();
        loop {
            if let Checked::Failed(why) = self.against().checked {
                return why;
            }
            if told.changed().await.is_err() {
                // It is there for as long as this endpoint.
                return std::future::pending().await;
            }
        }
    }

    pub(crate) fn request_begins(&self) {
        self.vital.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn request_ends(&self) {
        self.vital.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// It did not answer, or with something that is no answer.
    pub(crate) fn failed(&self, why: UpstreamFault) {
        self.failed_at(Cost::of(why));
    }

    fn failed_at(&self, cost: Cost) {
        let vital = &self.vital;
        vital.doubt.failed(self.rules.failures, (cost, Instant::now()), &vital.group);
        vital.counts.failed();
        // Stops at the top: a wrap would make it look healthy.
        let more = |failures: u32| failures.checked_add(1);
        let before = vital.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        let threshold = self.rules.failures;
        if threshold > 0 && before.is_ok_and(|before| before + 1 >= threshold) {
            vital.group.look();
        }
    }

    /// It answered a request after this time.
    pub(crate) fn responded(&self, after: Duration, status: StatusCode) {
        // Failures are quick, and must not draw requests.
        if self.rules.statuses.has(status.as_u16()) { self.failed_at(Cost::Little) } else { self.answered(after) }
    }

    /// It answered after this time.
    pub(crate) fn answered(&self, after: Duration) {
        let vital = &self.vital;
        if vital.failures.load(Ordering::Relaxed) > 0 {
            vital.failures.store(0, Ordering::Relaxed);
        }
        self.trust();
        vital.counts.answered(u32::try_from(after.as_micros()).unwrap_or(u32::MAX).max(1));
        self.took(after, millis());
    }

    /// Whether it answers is not in doubt any more.
    pub(crate) fn trust(&self) {
        if self.vital.doubt.trusts(&self.vital.group) {
            tracing::info!(endpoint = %self.address, "an endpoint is not in doubt any more");
        }
    }

    /// It asks that nothing be sent to it again for as long.
    pub(crate) fn rests(&self, time: Duration) {
        *self.vital.rests_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + time);
        self.vital.group.rests();
    }

    /// For how long that is from now, if it is so.
    pub(crate) fn rest(&self) -> Option<Duration> {
        let until = (*self.vital.rests_until.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(until.saturating_duration_since(Instant::now())).filter(|rest| !rest.is_zero())
    }

    /// A request goes to it.
    pub(crate) fn is_asked(&self) {
        if self.vital.doubt.is_silent() {
            self.vital.doubt.asks(Instant::now());
        }
    }

    /// Whether it is to be trusted with requests.
    pub(super) fn doubt(&self) -> &Doubt {
        &self.vital.doubt
    }

    /// Another one has answered in its stead, after this time: it would have taken as long, at least. That is no answer.
    pub(crate) fn outrun(&self, after: Duration) {
        let now = millis();
        let known = PeakEwma::from_word(self.vital.latency.load(Ordering::Relaxed)).micros(now);
        if after.as_micros() > u128::from(known) {
            self.took(after, now);
        }
    }

    fn took(&self, after: Duration, now_millis: u32) {
        let took = u32::try_from(after.as_micros()).unwrap_or(u32::MAX);
        // Of two workers at the same time one is not heard, which is one sample of many.
        let known = PeakEwma::from_word(self.vital.latency.load(Ordering::Relaxed));
        self.vital.latency.store(known.observed(took, now_millis).to_word(), Ordering::Relaxed);
    }

    /// What it has answered and failed since it is known.
    pub(crate) fn counts(&self) -> &Counts {
        &self.vital.counts
    }

    /// The time that figures are of, and the figures.
    pub(crate) fn recently(&self, now: Instant) -> (Duration, Tally) {
        self.figures().since(now, self.counts())
    }

    /// Half of the time that figures are of has passed, if it has.
    pub(crate) fn turn_figures(&self, now: Instant, half: Duration) {
        self.figures().turn(now, half, self.counts());
    }

    fn figures(&self) -> MutexGuard<'_, Recent> {
        self.vital.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What ejection remembers of it.
    pub(crate) fn past(&self) -> MutexGuard<'_, Past> {
        self.vital.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Failures since the last answer.
    pub(crate) fn failures(&self) -> u32 {
        self.vital.failures.load(Ordering::Relaxed)
    }

    pub(crate) fn count_ejection(&self) {
        self.vital.ejections.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn ejections(&self) -> u64 {
        self.vital.ejections.load(Ordering::Relaxed)
    }

    /// The share of its weight that it takes, in thousandths.
    pub(crate) fn share(&self) -> u16 {
        self.vital.share_permille.load(Ordering::Relaxed)
    }

    /// Its share grows. Balancers that keep a table are told at each tenth.
    pub(crate) fn set_share(&self, permille: u16) {
        let before = self.vital.share_permille.swap(permille, Ordering::Relaxed);
        if before / 100 != permille / 100 {
            self.vital.group.changed();
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.vital.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
