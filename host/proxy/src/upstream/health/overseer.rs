//! Watches over one upstream: has its endpoints checked, ejects who fails, lets in slowly who is new.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use palisade_config::Ejection;
use palisade_contract::Health;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::check::check_always;
use super::outliers::{self, Peers, Record};
use super::shares;
use crate::upstream::discovery::look_always;
use crate::upstream::standing::{Checked, Ejected};
use crate::upstream::vital::SHARE_WHOLE;
use crate::upstream::{Endpoint, Members, Upstream};

/// Half of the time that figures are of.
const FIGURES_HALF: Duration = Duration::from_secs(30);

/// Between two looks, however many fail.
const PAUSE: Duration = Duration::from_millis(5);

/// As that, where one is to be left alone and as many are as may be: it goes on failing, and nothing comes of looking.
const PAUSE_WITHOUT_ROOM: Duration = Duration::from_secs(1);

/// How soon within that newcomers are seen.
const PAUSE_STEP: Duration = Duration::from_millis(50);

/// Until the task is aborted.
pub(super) async fn oversee(upstream: Arc<Upstream>) {
    let mut charges: HashMap<SocketAddr, Charge> = HashMap::new();
    let mut of_members = None;
    // They end with this task.
    let mut looking = JoinSet::new();
    for source in upstream.all_sources() {
        looking.spawn(look_always(upstream.clone(), source));
    }
    loop {
        let now = Instant::now();
        let members = upstream.members();
        if of_members != Some(members.id) {
            charge(&upstream, &members, &mut charges);
            of_members = Some(members.id);
        }
        let mut next = now + FIGURES_HALF;
        for charge in charges.values_mut() {
            charge.endpoint.turn_figures(now, FIGURES_HALF);
            next = next.min(charge.readmit(&upstream, now)).min(charge.let_in(&upstream, now));
        }
        let mut not_before = now;
        if let Some(rules) = &upstream.config.ejection {
            let (again, with_room) = eject(&upstream, rules, &mut charges, now);
            next = next.min(again);
            not_before = with_room.min(next);
        }
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = upstream.group.looks() => pause(&upstream, members.id, not_before).await,
        }
    }
}

/// Each of these endpoints is watched over from now on, and no other.
fn charge(upstream: &Arc<Upstream>, members: &Members, charges: &mut HashMap<SocketAddr, Charge>) {
    let mut before = std::mem::take(charges);
    let of = |endpoint: &Arc<Endpoint>| {
        let known = before.remove(&endpoint.address).filter(|known| Arc::ptr_eq(&known.endpoint, endpoint));
        (endpoint.address, known.unwrap_or_else(|| Charge::begin(upstream, endpoint)))
    };
    charges.extend(members.endpoints.iter().map(of));
}

/// Between two looks: until then, or until the upstream has other endpoints than these.
async fn pause(upstream: &Upstream, members_id: u32, not_before: Instant) {
    tokio::time::sleep(PAUSE).await;
    while Instant::now() < not_before && upstream.members().id == members_id {
        tokio::time::sleep_until(not_before.min(Instant::now() + PAUSE_STEP)).await;
    }
}

/// An endpoint that is watched over. Dropping it ends its checks.
#[derive(Debug)]
struct Charge {
    endpoint: Arc<Endpoint>,
    checking: Option<JoinHandle<()>>,
    /// Since when it is seen to grow.
    growing: Option<Instant>,
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(checking) = &self.checking {
            checking.abort();
        }
    }
}

impl Charge {
    fn begin(upstream: &Arc<Upstream>, endpoint: &Arc<Endpoint>) -> Self {
        let checking =
            upstream.config.health.is_some().then(|| tokio::spawn(check_always(upstream.clone(), endpoint.clone())));
        upstream.change(endpoint, |against| {
            // What was held against it by rules that are no more.
            if upstream.config.health.is_none() {
                against.checked = Checked::Off;
            }
            if upstream.config.ejection.is_none() {
                against.ejected = None;
            }
        });
        Self { endpoint: endpoint.clone(), checking, growing: None }
    }

    /// Its time is over, if it is; when it is, otherwise.
    fn readmit(&mut self, upstream: &Upstream, now: Instant) -> Instant {
        let Some(Ejected { until, .. }) = self.endpoint.against().ejected else { return now + FIGURES_HALF };
        if until > now {
            return until;
        }
        upstream.change(&self.endpoint, |against| against.ejected = None);
        self.endpoint.past().readmitted(now, self.endpoint.counts());
        now + FIGURES_HALF
    }

    /// A newcomer's share grows.
    fn let_in(&mut self, upstream: &Upstream, now: Instant) -> Instant {
        let slow_start = upstream.config.slow_start;
        let idle = now + FIGURES_HALF;
        if self.endpoint.health() != Health::Healthy || self.endpoint.share() >= SHARE_WHOLE {
            self.growing = None;
            return idle;
        }
        // It may have begun to grow under another table of the upstream.
        let grown = || now.checked_sub(shares::up(self.endpoint.share(), slow_start)).unwrap_or(now);
        let since = *self.growing.get_or_insert_with(grown);
        self.endpoint.set_share(shares::share(now.saturating_duration_since(since), slow_start));
        now + shares::step(slow_start)
    }

    /// It is left alone from now on, until then.
    fn eject(&mut self, upstream: &Upstream, rules: &Ejection, (why, now): (&str, Instant)) -> Instant {
        let before = self.endpoint.past().ejected(now, rules.time_max);
        let time = outliers::time(rules, before);
        self.endpoint.count_ejection();
        let reason = format!("left alone for {time:?}: {why}").into();
        let until = now + time;
        upstream.change(&self.endpoint, |against| against.ejected = Some(Ejected { reason, until }));
        until
    }
}

/// Ejects whoever is to be, and tells when to look again, and before when not, whoever fails.
fn eject(
    upstream: &Upstream,
    rules: &Ejection,
    charges: &mut HashMap<SocketAddr, Charge>,
    now: Instant,
) -> (Instant, Instant) {
    let half = rules.window / 2;
    let has_window = rules.error_percent.is_some() || rules.latency_factor.is_some();
    let mut records = Vec::with_capacity(charges.len());
    let mut places = Vec::with_capacity(charges.len());
    for (address, charge) in charges.iter_mut().filter(|(_, charge)| charge.endpoint.health() == Health::Healthy) {
        let counts = charge.endpoint.counts();
        let mut record = Record { failures: charge.endpoint.failures(), ..Record::default() };
        if has_window {
            record.tally = charge.endpoint.past().lately((now, half), counts);
        }
        records.push(record);
        places.push(*address);
    }
    let all = charges.len();
    let mut out = all - records.len();
    let mut next = now + if has_window { (half / 5).min(Duration::from_secs(1)) } else { FIGURES_HALF };
    let mut not_before = now;
    let peers = Peers::of(rules, &records);
    for (record, address) in records.iter().zip(&places) {
        let Some(why) = outliers::fault(rules, record, &peers) else { continue };
        if !outliers::has_room(rules, all, out) {
            not_before = now + PAUSE_WITHOUT_ROOM;
            break;
        }
        if let Some(charge) = charges.get_mut(address) {
            next = next.min(charge.eject(upstream, rules, (&why, now)));
            out += 1;
        }
    }
    (next, not_before)
}
