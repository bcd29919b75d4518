//! Exchanges that ended together, in; one host call for each counter and each histogram that they touch, out.

use std::time::Duration;

use palisade_sdk::Ended;

use crate::{
    labels::Labels,
    series::{ByClass, Table, class},
};

/// Counts whole lists. Keeps its memory from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// For each exchange of the list, the place of its series.
    places: Vec<usize>,
    durations: Vec<f64>,
    first_bytes: Vec<f64>,
}

impl Batch {
    /// Counts the exchanges. A list has at most 64, so going over it once for each series that it touches is cheap.
    pub(crate) fn count(&mut self, exchanges: &[Ended], labels: &Labels, table: &mut Table) {
        self.places.clear();
        self.places.extend(exchanges.iter().map(|exchange| table.place(labels.key(exchange))));
        for index in 0..exchanges.len() {
            let before = self.places.get(..index).unwrap_or_default();
            if let Some(place) = self.places.get(index).copied().filter(|place| !before.contains(place)) {
                self.count_series(place, exchanges, table);
            }
        }
    }

    fn count_series(&mut self, place: usize, exchanges: &[Ended], table: &mut Table) {
        let mut requests = ByClass::default();
        let (mut request_bytes, mut response_bytes) = (0_u64, 0_u64);
        self.durations.clear();
        self.first_bytes.clear();
        for (exchange, _) in exchanges.iter().zip(&self.places).filter(|(_, own)| **own == place) {
            if let Some(count) = requests.get_mut(class(exchange.status)) {
                *count += 1;
            }
            request_bytes = request_bytes.saturating_add(exchange.request_bytes);
            response_bytes = response_bytes.saturating_add(exchange.response_bytes);
            self.durations.push(seconds(exchange.duration_micros));
            if exchange.first_byte_micros > 0 {
                self.first_bytes.push(seconds(exchange.first_byte_micros));
            }
        }
        table.count(place, &requests);
        let Some(series) = table.at(place) else { return };
        if request_bytes > 0 {
            series.request_bytes.add(request_bytes);
        }
        if response_bytes > 0 {
            series.response_bytes.add(response_bytes);
        }
        series.duration.record_all(&self.durations);
        if !self.first_bytes.is_empty() {
            series.first_byte.record_all(&self.first_bytes);
        }
    }
}

fn seconds(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64()
}
