//! What happens at the endpoints of upstreams, counted; and all of it as text, of those that somebody has or had a while ago.
//!
//! Endpoints come and go with discovery, so their series are not the exporter's, which takes none back. A counter lives for as long
//! as a worker has a use for it; for a while longer its last values are shown, so that they are scraped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use palisade_contract::{EndpointMonitor, UpstreamFault};

use crate::catalogue;
use crate::endpoint_figures::{Labels, head, line};

/// How long the series of an endpoint are shown that nobody has any more.
const GONE_KEPT: Duration = Duration::from_secs(600);

/// Of how many of those at most.
const GONE_MAX: usize = 1_000;

/// The counters of one endpoint: eleven series.
#[derive(Debug, Default)]
pub(crate) struct EndpointMeters {
    connections: AtomicI64,
    requests: AtomicU64,
    failures: [AtomicU64; UpstreamFault::ALL.len()],
    fallbacks: AtomicU64,
}

impl EndpointMonitor for EndpointMeters {
    fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    fn disconnected(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    fn asked(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    fn failed(&self, why: UpstreamFault) {
        if let Some(failures) = self.failures.get(why as usize) {
            failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn stood_in(&self) {
        self.fallbacks.fetch_add(1, Ordering::Relaxed);
    }
}

/// The counters of all endpoints, by upstream and address.
#[derive(Debug, Default)]
pub(crate) struct Endpoints(BTreeMap<[String; 2], Kept>);

#[derive(Debug, Default)]
struct Kept {
    meters: Arc<EndpointMeters>,
    /// Since when it is seen that nobody else has them.
    gone_since: Option<Instant>,
}

impl Endpoints {
    /// The counters of this endpoint, the same for the same one for as long as they are known.
    pub(crate) fn at(&mut self, upstream: &str, endpoint: &str) -> Arc<EndpointMeters> {
        let kept = self.0.entry([upstream.to_owned(), endpoint.to_owned()]).or_default();
        kept.gone_since = None;
        kept.meters.clone()
    }

    /// Gives up those that have been gone for long, and of those that have gone the first, where there are too many.
    pub(crate) fn tidy(&mut self, now: Instant) {
        for kept in self.0.values_mut() {
            let is_gone = Arc::strong_count(&kept.meters) == 1;
            kept.gone_since = is_gone.then(|| kept.gone_since.unwrap_or(now));
        }
        let mut gone: Vec<Instant> = self.0.values().filter_map(|kept| kept.gone_since).collect();
        gone.sort_unstable();
        let too_many = gone.len().saturating_sub(GONE_MAX);
        let first = gone.get(too_many).copied();
        // Those that went in the same moment are as old as each other: of them, no more are kept than there is room for.
        let mut room = gone.iter().skip(too_many).filter(|since| Some(**since) == first).count();
        self.0.retain(|_, kept| {
            let Some(since) = kept.gone_since else { return true };
            if now.saturating_duration_since(since) >= GONE_KEPT || first.is_none_or(|first| since < first) {
                return false;
            }
            if Some(since) != first {
                return true;
            }
            let has_room = room > 0;
            room = room.saturating_sub(1);
            has_room
        });
    }

    /// All of them as Prometheus text (exposition format 0.0.4).
    pub(crate) fn write(&self, text: &mut String) {
        head(text, &catalogue::UPSTREAM_CONNECTIONS);
        self.each(|labels, meters| {
            line(text, &catalogue::UPSTREAM_CONNECTIONS, labels, meters.connections.load(Ordering::Relaxed));
        });
        head(text, &catalogue::UPSTREAM_REQUESTS_TOTAL);
        self.each(|labels, meters| {
            line(text, &catalogue::UPSTREAM_REQUESTS_TOTAL, labels, meters.requests.load(Ordering::Relaxed));
        });
        head(text, &catalogue::UPSTREAM_FAILURES_TOTAL);
        self.each(|labels, meters| {
            for (why, failures) in UpstreamFault::ALL.iter().zip(&meters.failures) {
                let labels = labels.and("reason", why.as_str());
                line(text, &catalogue::UPSTREAM_FAILURES_TOTAL, labels, failures.load(Ordering::Relaxed));
            }
        });
        head(text, &catalogue::UPSTREAM_FALLBACK_PICKS_TOTAL);
        self.each(|labels, meters| {
            line(text, &catalogue::UPSTREAM_FALLBACK_PICKS_TOTAL, labels, meters.fallbacks.load(Ordering::Relaxed));
        });
    }

    fn each(&self, mut write: impl FnMut(Labels<'_>, &EndpointMeters)) {
        for ([upstream, endpoint], kept) in &self.0 {
            write(Labels::of(upstream, endpoint), &kept.meters);
        }
    }
}

#[cfg(test)]
mod tests {
    use palisade_contract::{Clock, SystemClock};

    use super::*;

    #[test]
    fn a_faults_number_is_its_place() {
        let numbers: Vec<usize> = UpstreamFault::ALL.iter().map(|why| *why as usize).collect();
        assert_eq!(numbers, (0..UpstreamFault::ALL.len()).collect::<Vec<_>>());
    }

    #[test]
    fn the_series_of_one_that_has_gone_are_shown_for_a_while_and_go_on_where_it_comes_back() {
        let (mut endpoints, start) = (Endpoints::default(), start());
        let (stays, goes) = (endpoints.at("web", "10.0.0.1:80"), endpoints.at("web", "10.0.0.2:80"));
        goes.asked();
        endpoints.tidy(start);
        drop(goes);
        endpoints.tidy(start + SECOND);
        endpoints.tidy(start + GONE_KEPT);
        let back = endpoints.at("web", "10.0.0.2:80");
        back.asked();
        check(&endpoints, &["10.0.0.1:80\"} 0", "10.0.0.2:80\"} 2"]);
        endpoints.tidy(start + GONE_KEPT + 2 * SECOND);
        drop(back);
        endpoints.tidy(start + GONE_KEPT + 3 * SECOND);
        check(&endpoints, &["10.0.0.1:80\"} 0", "10.0.0.2:80\"} 2"]);
        endpoints.tidy(start + 2 * GONE_KEPT + 3 * SECOND);
        check(&endpoints, &["10.0.0.1:80\"} 0"]);
        drop(stays);
    }

    #[test]
    fn however_many_come_and_go_few_of_them_are_kept() {
        let (mut endpoints, start) = (Endpoints::default(), start());
        let stays: Vec<_> = (0..20).map(|number| endpoints.at("web", &format!("10.0.1.1:{number}"))).collect();
        for number in 0..10_000 {
            endpoints.at("web", &format!("10.0.0.1:{number}")).asked();
            if number % 100 == 0 {
                endpoints.tidy(start + Duration::from_millis(number));
            }
        }
        endpoints.tidy(start + 20 * SECOND);
        assert_eq!(endpoints.0.len(), GONE_MAX + stays.len());
        // Those that went last.
        let mut text = String::new();
        endpoints.write(&mut text);
        assert!(text.contains("10.0.0.1:9899\"") && !text.contains("10.0.0.1:8000\""));
        assert_eq!(text.lines().count(), 4 * 2 + 11 * (GONE_MAX + stays.len()));
        // All at once.
        drop(stays);
        let all: Vec<_> = (0..10_000).map(|number| endpoints.at("api", &format!("10.0.0.1:{number}"))).collect();
        endpoints.tidy(start + 30 * SECOND);
        assert!(endpoints.0.len() >= all.len());
        drop(all);
        endpoints.tidy(start + 40 * SECOND);
        assert_eq!(endpoints.0.len(), GONE_MAX);
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn start() -> Instant {
        SystemClock.now()
    }

    #[track_caller]
    fn check(endpoints: &Endpoints, expected: &[&str]) {
        let mut text = String::new();
        endpoints.write(&mut text);
        let name = "palisade_upstream_requests_total{upstream=\"web\",endpoint=\"";
        let found: Vec<_> = text.lines().filter_map(|line| line.strip_prefix(name)).collect();
        assert_eq!(found, expected);
    }
}
