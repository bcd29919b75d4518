//! Exchanges that begin and end, in; how many are under way by listener and route, out.

use palisade_sdk::{Begun, Ended, Family, Gauge, Setup};

use crate::labels::{Key, Labels};

/// A gauge that every worker moves up and down.
///
/// Nothing is counted here: an instance that failed takes no number with it, and what one instance counted up its
/// successor counts down. So it is zero exactly when everything has ended. For the same reason `series_max` does not
/// apply: an exchange has to end in the series in which it began.
#[derive(Debug)]
pub(crate) struct InFlight {
    labels: Labels,
    family: Family<Gauge>,
    gauges: Vec<(Key, Gauge)>,
    /// By how much each gauge moves in the list at hand.
    moves: Vec<(Key, f64)>,
}

impl InFlight {
    /// Declares the gauge.
    pub(crate) fn declare(labels: &Labels, host: &mut Setup) -> Self {
        let labels = labels.at_begin();
        let family = host.gauge_with("in_flight", "Requests under way.", &labels.names_with(None));
        Self { labels, family, gauges: Vec::new(), moves: Vec::new() }
    }

    /// These began.
    pub(crate) fn begin(&mut self, exchanges: &[Begun]) {
        for exchange in exchanges {
            self.shift(self.labels.key_at_begin(exchange), 1.0);
        }
        self.flush();
    }

    /// These ended.
    pub(crate) fn end(&mut self, exchanges: &[Ended]) {
        for exchange in exchanges {
            self.shift(self.labels.key(exchange), -1.0);
        }
        self.flush();
    }

    fn shift(&mut self, key: Key, by: f64) {
        match self.moves.iter_mut().find(|(known, _)| *known == key) {
            Some((_, sum)) => *sum += by,
            None => self.moves.push((key, by)),
        }
    }

    /// One host call for each gauge.
    fn flush(&mut self) {
        while let Some((key, by)) = self.moves.pop() {
            self.gauge(key).shift(by);
        }
    }

    fn gauge(&mut self, key: Key) -> Gauge {
        let place = self.gauges.binary_search_by(|(known, _)| known.cmp(&key));
        if let Ok(Some((_, gauge))) = place.map(|place| self.gauges.get(place)) {
            return *gauge;
        }
        let values = self.labels.values(key);
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let gauge = self.family.with(&values);
        if let (Err(place), true) = (place, self.gauges.len() < GAUGES_MAX) {
            self.gauges.insert(place, (key, gauge));
        }
        gauge
    }
}

/// How many handles are remembered; the others are asked for each time.
const GAUGES_MAX: usize = 1024;
