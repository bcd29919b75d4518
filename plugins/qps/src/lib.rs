//! Counts requests by status class, bytes, requests in flight and latencies, by listener, route and upstream.
//!
//! The host hands over lists of exchanges. Each list is added up here first: the host is called once for each series
//! that it touches, not once for each exchange.

#![forbid(unsafe_code)]

mod batch;
mod in_flight;
mod labels;
mod series;
mod settings;

use palisade_sdk::prelude::*;

use crate::{
    batch::Batch,
    in_flight::InFlight,
    labels::Labels,
    series::{Families, Table},
    settings::Settings,
};

register!(Qps: Observer);

/// The plugin.
#[derive(Debug)]
pub struct Qps {
    labels: Labels,
    in_flight: InFlight,
    table: Table,
    batch: Batch,
    endings: [Counter; ENDINGS.len()],
}

impl Plugin for Qps {
    type Settings = Settings;

    fn configure(settings: Settings, host: &mut Setup) -> Result<Self, Error> {
        let labels = Labels::new(settings.labels)?;
        let endings = host.counter_with("endings_total", "Exchanges by how they ended.", &["ending"]);
        Ok(Self {
            in_flight: InFlight::declare(&labels, host),
            table: Table::new(Families::declare(&labels, host), settings.series_max.count()),
            batch: Batch::default(),
            endings: ENDINGS.map(|(_, text)| endings.with(&[text])),
            labels,
        })
    }
}

impl Observer for Qps {
    fn on_begun(&mut self, exchanges: &[Begun]) {
        self.in_flight.begin(exchanges);
    }

    fn on_ended(&mut self, exchanges: &[Ended]) {
        self.in_flight.end(exchanges);
        self.batch.count(exchanges, &self.labels, &mut self.table);
        let mut ended = [0; ENDINGS.len()];
        for exchange in exchanges {
            for ((ending, _), ended) in ENDINGS.iter().zip(&mut ended) {
                *ended += u64::from(exchange.ending == *ending);
            }
        }
        for (ended, counter) in ended.into_iter().zip(&self.endings).filter(|(ended, _)| *ended > 0) {
            counter.add(ended);
        }
    }
}

/// The values of the label `ending`.
const ENDINGS: [(Ending, &str); 5] = [
    (Ending::Complete, "complete"),
    (Ending::ClientGone, "client_gone"),
    (Ending::UpstreamFailed, "upstream_failed"),
    (Ending::Truncated, "truncated"),
    (Ending::Closed, "closed"),
];

#[cfg(test)]
mod tests;
