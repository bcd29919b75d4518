//! Chooses the endpoint: by turns, at random, by load, by latency, or the same one for what belongs together; all by weight,
//! slow start and zone.
//!
//! Candidates that are unhealthy, drained, kept in reserve or tried before in the same exchange are left out. A pick allocates
//! nothing, and makes no host call unless it reads a header or a cookie, or counts something rare.

#![forbid(unsafe_code)]

mod available;
mod by_upstream;
mod cookie;
mod generator;
mod hash;
mod hashed;
mod least_request;
mod maglev;
mod members;
mod peak_ewma;
mod ring;
mod round_robin;
mod settings;
mod siphash;
mod sticky;
mod zone;

use palisade_sdk::prelude::*;

use crate::{
    available::Available,
    by_upstream::ByUpstream,
    generator::Generator,
    hashed::{Hashed, Tables},
    least_request::{least_request, random},
    peak_ewma::peak_ewma,
    round_robin::RoundRobin,
    settings::{Algorithm, Settings},
    sticky::Sticky,
    zone::OwnZone,
};

register!(Balance: Balancer);

/// The plugin.
#[derive(Debug)]
pub struct Balance {
    strategy: Strategy,
    zone: OwnZone,
    generator: Generator,
    counters: Counters,
}

/// The algorithm, with what it remembers.
#[derive(Debug)]
enum Strategy {
    WeightedRoundRobin(ByUpstream<RoundRobin>),
    Random,
    LeastRequest,
    PeakEwma,
    Hashed(Hashed),
    Sticky(Box<Sticky>),
}

/// Counters of what is rare: counting every pick would be a host call each.
#[derive(Debug)]
struct Counters {
    tried: Counter,
    none: Counter,
    without_key: Counter,
    tables: Counter,
}

impl Plugin for Balance {
    type Settings = Settings;

    fn configure(settings: Settings, host: &mut Setup) -> Result<Self, Error> {
        settings.check()?;
        let Settings { algorithm, hash_on, table_size, points, bound, cookie, zone } = settings;
        let hash_on = hash_on.unwrap_or_default();
        let strategy = match algorithm {
            Algorithm::WeightedRoundRobin => Strategy::WeightedRoundRobin(ByUpstream::default()),
            Algorithm::Random => Strategy::Random,
            Algorithm::LeastRequest => Strategy::LeastRequest,
            Algorithm::PeakEwma => Strategy::PeakEwma,
            Algorithm::Maglev => Strategy::Hashed(Hashed {
                hash_on,
                tables: Tables::Maglev(table_size.unwrap_or_default().slots(), ByUpstream::default()),
            }),
            Algorithm::RingHash => Strategy::Hashed(Hashed {
                hash_on,
                tables: Tables::Ring(points.unwrap_or_default().0, bound.unwrap_or_default(), ByUpstream::default()),
            }),
            Algorithm::StickyCookie => match cookie {
                Some(cookie) => Strategy::Sticky(Box::new(Sticky::new(cookie))),
                None => return Err(Error::setting("cookie", "is missing")),
            },
        };
        let zone = OwnZone::new(zone.map(|zone| zone.0));
        Ok(Self { strategy, zone, generator: Generator::default(), counters: Counters::declare(host) })
    }
}

impl Balancer for Balance {
    fn pick(&mut self, request: &PickRequest, candidates: &[Candidate]) -> Result<Pick, Error> {
        let Some(available) = Available::among(candidates) else {
            self.counters.none.add(1);
            return Ok(Pick::None);
        };
        if available.were_tried() {
            self.counters.tried.add(1);
        }
        Ok(Pick::Endpoint(self.index(request, &available)))
    }
}

impl Balance {
    fn index(&mut self, request: &PickRequest, available: &Available<'_>) -> usize {
        let own = self.zone.name(available.all());
        let generator = &mut self.generator;
        if let Strategy::Hashed(hashed) = &mut self.strategy {
            if let Some(number) = hashed.hash_on.number(request) {
                let (index, is_built) = hashed.pick(request, number, &available.near(own, || hashed::coin(number)));
                if is_built {
                    self.counters.tables.add(1);
                }
                return index;
            }
            self.counters.without_key.add(1);
        }
        if let Strategy::Sticky(sticky) = &mut self.strategy {
            let token = sticky.token(request);
            if let Some(index) = token.and_then(|token| sticky.find(token, request, available)) {
                return index;
            }
            let index = least_request(&available.near(own, || generator.below(1000)), generator);
            if let Some(candidate) = available.get(index) {
                sticky.tell(request, candidate);
            }
            return index;
        }
        let near = available.near(own, || generator.below(1000));
        match &mut self.strategy {
            Strategy::WeightedRoundRobin(turns) => turns.with(request.upstream(), |turns| turns.pick(&near)),
            Strategy::Random => random(&near, generator),
            Strategy::PeakEwma => peak_ewma(&near, generator),
            Strategy::LeastRequest | Strategy::Hashed(_) | Strategy::Sticky(_) => least_request(&near, generator),
        }
    }
}

impl Counters {
    fn declare(host: &mut Setup) -> Self {
        let help = "Picks with nothing better left than healthy endpoints that were tried before, or none.";
        let degraded = host.counter_with("degraded_total", help, &["left"]);
        Self {
            tried: degraded.with(&["tried"]),
            none: degraded.with(&["none"]),
            without_key: host.counter("without_key_total", "Picks by least request, for want of something to hash."),
            tables: host.counter("tables_built_total", "Maglev tables and rings that were built."),
        }
    }
}

#[cfg(test)]
mod tests;
