//! Chooses the endpoint: weighted round robin, random, least request or Maglev, by weight and slow start.
//!
//! Candidates that are unhealthy, being drained or were tried before in the same exchange are left out unless there is
//! nothing else. A pick allocates nothing, and makes no host call unless it hashes a header or a cookie, or counts
//! something rare.

#![forbid(unsafe_code)]

mod available;
mod by_upstream;
mod generator;
mod hash;
mod least_request;
mod maglev;
mod round_robin;
mod settings;

use palisade_sdk::prelude::*;

use crate::{
    available::{Available, Flaw},
    by_upstream::ByUpstream,
    generator::Generator,
    hash::HashOn,
    least_request::{least_request, random},
    maglev::Table,
    round_robin::RoundRobin,
    settings::{Algorithm, Settings},
};

register!(Balance: Balancer);

/// The plugin.
#[derive(Debug)]
pub struct Balance {
    strategy: Strategy,
    generator: Generator,
    counters: Counters,
}

/// The algorithm, with what it remembers.
#[derive(Debug)]
enum Strategy {
    WeightedRoundRobin(ByUpstream<RoundRobin>),
    Random,
    LeastRequest,
    Maglev(Maglev),
}

#[derive(Debug)]
struct Maglev {
    hash_on: HashOn,
    slots: usize,
    tables: ByUpstream<Table>,
}

/// Counters of what is rare: counting every pick would be a host call each.
#[derive(Debug)]
struct Counters {
    tried: Counter,
    draining: Counter,
    unhealthy: Counter,
    none: Counter,
    without_key: Counter,
    tables: Counter,
}

impl Plugin for Balance {
    type Settings = Settings;

    fn configure(settings: Settings, host: &mut Setup) -> Result<Self, Error> {
        let Settings { algorithm, hash_on, table_size } = settings;
        if algorithm != Algorithm::Maglev {
            let given = [("hash_on", hash_on.is_some()), ("table_size", table_size.is_some())];
            if let Some((key, _)) = given.iter().find(|(_, given)| *given) {
                return Err(Error::setting(*key, "goes with algorithm = \"maglev\""));
            }
        }
        let strategy = match algorithm {
            Algorithm::WeightedRoundRobin => Strategy::WeightedRoundRobin(ByUpstream::default()),
            Algorithm::Random => Strategy::Random,
            Algorithm::LeastRequest => Strategy::LeastRequest,
            Algorithm::Maglev => Strategy::Maglev(Maglev {
                hash_on: hash_on.unwrap_or_default(),
                slots: table_size.unwrap_or_default().slots(),
                tables: ByUpstream::default(),
            }),
        };
        Ok(Self { strategy, generator: Generator::default(), counters: Counters::declare(host) })
    }
}

impl Balancer for Balance {
    fn pick(&mut self, request: &PickRequest, candidates: &[Candidate]) -> Result<Pick, Error> {
        let Some(available) = Available::among(candidates) else {
            self.counters.none.add(1);
            return Ok(Pick::None);
        };
        if let Some(flaw) = available.standing().flaw() {
            self.counters.of(flaw).add(1);
        }
        let generator = &mut self.generator;
        let index = match &mut self.strategy {
            Strategy::WeightedRoundRobin(turns) => turns.with(request.upstream(), |turns| turns.pick(&available)),
            Strategy::Random => random(&available, generator),
            Strategy::LeastRequest => least_request(&available, generator),
            Strategy::Maglev(maglev) => match maglev.hash_on.number(request) {
                Some(number) => maglev.pick(request.upstream(), number, &available, &self.counters),
                None => {
                    self.counters.without_key.add(1);
                    least_request(&available, generator)
                }
            },
        };
        Ok(Pick::Endpoint(index))
    }
}

impl Maglev {
    fn pick(&mut self, upstream: Name, number: u64, available: &Available<'_>, counters: &Counters) -> usize {
        self.tables.with(upstream, |table| {
            if !table.stands_for(available.all()) {
                *table = Table::new(available.all(), self.slots);
                counters.tables.add(1);
            }
            table.pick(number, available)
        })
    }
}

impl Counters {
    fn declare(host: &mut Setup) -> Self {
        let help = "Picks with nothing better left than endpoints that were tried, are drained or unhealthy, or none.";
        let degraded = host.counter_with("degraded_total", help, &["left"]);
        Self {
            tried: degraded.with(&["tried"]),
            draining: degraded.with(&["draining"]),
            unhealthy: degraded.with(&["unhealthy"]),
            none: degraded.with(&["none"]),
            without_key: host.counter("without_key_total", "Picks by least request, for want of something to hash."),
            tables: host.counter("tables_built_total", "Maglev tables that were built."),
        }
    }

    fn of(&self, flaw: Flaw) -> Counter {
        match flaw {
            Flaw::Tried => self.tried,
            Flaw::Draining => self.draining,
            Flaw::Unhealthy => self.unhealthy,
        }
    }
}

#[cfg(test)]
mod tests;
