//! One address of an upstream, and what all workers know of it.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use palisade_contract::{Candidate, Health, LentName, Name, Names, Outcome, PeakEwma, UpstreamFault};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::upstream::choose::millis;
use crate::upstream::counts::{Counts, Tally};
use crate::upstream::doubt::{Cost, Doubt};
use crate::upstream::group::Group;
use crate::upstream::health::{Past, Recent};
use crate::upstream::standing::{Against, Checked, Known, Standing};

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

/// What an upstream says of each of its endpoints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Failures in a row after which it is to be looked at; zero for never.
    pub(crate) failures: u32,
    /// How long it takes until it has its whole share.
    pub(crate) slow_start: Duration,
    /// Answers that are failures.
    pub(crate) statuses: Statuses,
}

/// A set of statuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Statuses([u64; 10]);

impl Statuses {
    pub(crate) fn of(ranges: &[RangeInclusive<u16>]) -> Self {
        let mut words = [0; 10];
        for status in ranges.iter().cloned().flatten() {
            if let Some(word) = words.get_mut(usize::from(status / 64)) {
                *word |= 1_u64 << (status % 64);
            }
        }
        Self(words)
    }

    fn has(&self, status: u16) -> bool {
        self.0.get(usize::from(status / 64)).is_some_and(|word| word & 1 << (status % 64) != 0)
    }
}

/// What is known of it. Another weight or zone makes another endpoint of the same that is known.
#[derive(Debug)]
struct Vital {
    in_flight: AtomicU32,
    failures: AtomicU32,
    /// A [`PeakEwma`].
    latency: AtomicU64,
    /// As of `known`, for whoever chooses.
    health: AtomicU8,
    share_permille: AtomicU16,
    counts: Counts,
    /// The last minute.
    figures: Mutex<Recent>,
    past: Mutex<Past>,
    ejections: AtomicU64,
    known: Mutex<Known>,
    told: watch::Sender<Standing>,
    doubt: Doubt,
    /// Until when it asks to be left alone.
    rests_until: Mutex<Option<Instant>>,
    group: Arc<Group>,
}

impl Drop for Vital {
    fn drop(&mut self) {
        self.doubt.trusts(&self.group);
    }
}

/// How an endpoint comes to be.
#[derive(Debug, Clone)]
pub(crate) enum Arrival {
    /// With its upstream: it has its whole share from the beginning.
    First(Checked),
    /// Into an upstream that is at work.
    Later(Checked),
}

impl Endpoint {
    pub(crate) fn new(
        config: &palisade_config::Endpoint,
        rules: Rules,
        arrival: Arrival,
        (names, group): (&Arc<Names>, &Arc<Group>),
    ) -> Self {
        let (checked, is_late) = match arrival {
            Arrival::First(checked) => (checked, false),
            Arrival::Later(checked) => (checked, true),
        };
        let mut known = Known::new(checked);
        let is_slow = is_late && rules.slow_start > Duration::ZERO;
        known.was_healthy |= is_late;
        let counts = Counts::default();
        let vital = Vital {
            figures: Mutex::new(Recent::begin(Instant::now(), &counts)),
            past: Mutex::new(Past::begin(Instant::now(), &counts)),
            counts,
            ejections: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            latency: AtomicU64::new(0),
            health: AtomicU8::new(number(known.standing.health)),
            share_permille: AtomicU16::new(if is_slow { SHARE_FIRST } else { SHARE_WHOLE }),
            told: watch::Sender::new(known.standing.clone()),
            known: Mutex::new(known),
            doubt: Doubt::default(),
            rests_until: Mutex::default(),
            group: group.clone(),
        };
        Self::of(config, rules, names, Arc::new(vital))
    }

    /// The same as it is configured now: what is known of it stays.
    pub(crate) fn again(&self, config: &palisade_config::Endpoint, rules: Rules, names: &Arc<Names>) -> Self {
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

/// A share of the weight, in thousandths: what a newcomer begins with, and all of it.
pub(crate) const SHARE_FIRST: u16 = 100;
pub(crate) const SHARE_WHOLE: u16 = 1_000;

const HEALTHY: u8 = 0;
const UNHEALTHY: u8 = 1;
const DRAINING: u8 = 2;

fn number(health: Health) -> u8 {
    match health {
        Health::Healthy | Health::Reserve => HEALTHY,
        Health::Unhealthy => UNHEALTHY,
        Health::Draining => DRAINING,
    }
}

/// FNV-1a, 64 bits, finished by a mixer (SplitMix64's) so that addresses which differ in one digit are far apart.
fn fnv1a(bytes: &[u8]) -> u64 {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::standing::Ejected;

    #[test]
    fn the_key_of_an_address_never_changes() {
        assert_eq!(fnv1a(b"10.0.0.1:80"), fnv1a(b"10.0.0.1:80"));
        assert_ne!(fnv1a(b"10.0.0.1:80"), fnv1a(b"10.0.0.2:80"));
        // Written down once: a change would move every client of every consistent hash.
        assert_eq!(fnv1a(b""), 0xf52a_15e9_a9b5_e89b);
    }

    #[test]
    fn latency_follows_a_rise_at_once_and_a_fall_with_the_time() {
        let endpoint = endpoint(Rules::default());
        let latency = |now_millis| endpoint.candidate(Outcome::Untried, now_millis).latency_micros;
        assert_eq!(latency(0), 0);
        endpoint.took(Duration::from_micros(800), 0);
        assert_eq!(latency(0), 800);
        endpoint.took(Duration::ZERO, 5_000);
        assert!((484..488).contains(&latency(5_000)), "{}", latency(5_000));
        endpoint.took(Duration::from_micros(900), 5_001);
        assert_eq!(latency(5_001), 900);
    }

    #[test]
    fn what_a_gateway_says_at_once_is_no_quick_answer() {
        let endpoint = endpoint(Rules::default());
        let latency = || endpoint.candidate(Outcome::Untried, millis()).latency_micros;
        endpoint.responded(Duration::ZERO, StatusCode::BAD_GATEWAY);
        assert_eq!(latency(), 0);
        endpoint.responded(Duration::ZERO, StatusCode::OK);
        assert_eq!(latency(), 1);
    }

    #[test]
    fn one_that_is_outrun_took_so_long_at_least_and_did_not_answer() {
        let endpoint = endpoint(Rules::default());
        let latency = || endpoint.candidate(Outcome::Untried, millis()).latency_micros;
        endpoint.failed(UpstreamFault::Reset);
        endpoint.outrun(Duration::from_secs(1));
        endpoint.outrun(Duration::from_micros(1));
        assert!(latency() > 500_000, "{}", latency());
        assert_eq!(endpoint.failures(), 1);
    }

    #[test]
    fn failures_in_a_row_are_those_since_the_last_answer() {
        let endpoint = endpoint(Rules::default());
        let failures = |endpoint: &Endpoint| endpoint.candidate(Outcome::Untried, 0).failures;
        endpoint.failed(UpstreamFault::Reset);
        endpoint.responded(Duration::ZERO, StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(failures(&endpoint), 2);
        endpoint.responded(Duration::ZERO, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(failures(&endpoint), 0);
    }

    #[tokio::test]
    async fn whoever_waits_for_its_end_is_told_on_any_thread() {
        let group = Arc::new(Group::default());
        let config = config();
        let new = |arrival| Endpoint::new(&config, Rules::default(), arrival, (&Arc::default(), &group));
        let endpoint = Arc::new(new(Arrival::First(Checked::Off)));
        let version = group.version();
        let waiting = endpoint.clone();
        let waiter = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(async move { (waiting.fails_checks().await, waiting.health()) })
        });
        let before = endpoint.change(|against| against.checked = Checked::Failed("refused".into()));
        assert_eq!(before.map(|before| before.health), Some(Health::Healthy));
        let told = tokio::task::spawn_blocking(move || waiter.join()).await.expect("a thread");
        assert_eq!(told.expect("no panic"), ("refused".into(), Health::Unhealthy));
        assert_ne!(group.version(), version);
        endpoint.change(|against| against.checked = Checked::Passed);
        let until = Instant::now();
        endpoint.change(|against| against.ejected = Some(Ejected { reason: "slow".into(), until }));
        // One that is left alone goes on with what it has.
        assert!(tokio::time::timeout(Duration::from_millis(10), endpoint.fails_checks()).await.is_err());
        assert_eq!(
            endpoint.change(|against| against.is_drained = true).map(|before| before.health),
            Some(Health::Unhealthy)
        );
    }

    #[test]
    fn a_newcomer_and_one_that_comes_back_begin_with_a_small_share() {
        let rules = Rules { slow_start: Duration::from_secs(30), ..Rules::default() };
        let share = |endpoint: &Endpoint| endpoint.candidate(Outcome::Untried, 0).slow_start_permille;
        let new = |arrival| Endpoint::new(&config(), rules, arrival, (&Arc::default(), &Arc::default()));
        assert_eq!(share(&new(Arrival::First(Checked::Off))), SHARE_WHOLE);
        assert_eq!(share(&new(Arrival::Later(Checked::Off))), SHARE_FIRST);
        let endpoint = new(Arrival::First(Checked::Unknown));
        endpoint.change(|against| against.checked = Checked::Passed);
        assert_eq!(share(&endpoint), SHARE_WHOLE);
        endpoint.change(|against| against.checked = Checked::Failed("refused".into()));
        endpoint.change(|against| against.checked = Checked::Passed);
        assert_eq!(share(&endpoint), SHARE_FIRST);
    }

    fn config() -> palisade_config::Endpoint {
        palisade_config::Endpoint::new(SocketAddr::from(([127, 0, 0, 1], 1)))
    }

    fn endpoint(rules: Rules) -> Endpoint {
        let rules = Rules { statuses: Statuses::of(&[502..=504]), ..rules };
        Endpoint::new(&config(), rules, Arrival::First(Checked::Off), (&Arc::default(), &Arc::default()))
    }

    #[test]
    fn a_set_of_statuses_has_its_ends() {
        let statuses = Statuses::of(&[500..=500, 502..=504, 599..=599]);
        let has: Vec<u16> = (0..=u16::MAX).filter(|status| statuses.has(*status)).collect();
        assert_eq!(has, [500, 502, 503, 504, 599]);
    }
}
