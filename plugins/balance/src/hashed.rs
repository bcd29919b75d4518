//! A number for what a request has in common with others, in; the endpoint that all of these go to, out.

use std::num::NonZeroU32;

use palisade_sdk::PickRequest;

use crate::{
    available::Available,
    by_upstream::ByUpstream,
    generator::mix,
    hash::HashOn,
    maglev::Table,
    ring::{Bound, Ring},
};

/// What is hashed, and what it is looked up in.
#[derive(Debug)]
pub(crate) struct Hashed {
    pub(crate) hash_on: HashOn,
    pub(crate) tables: Tables,
}

/// Each upstream's table or ring.
#[derive(Debug)]
pub(crate) enum Tables {
    /// Of so many slots.
    Maglev(usize, ByUpstream<Table>),
    /// With so many points for an endpoint of mean weight, and a bound for its load.
    Ring(NonZeroU32, Bound, ByUpstream<Ring>),
}

impl Hashed {
    /// The index of the candidate, and whether a table or ring was built for it.
    pub(crate) fn pick(&mut self, request: &PickRequest, number: u64, available: &Available<'_>) -> (usize, bool) {
        let (version, all) = (request.version(), available.all());
        match &mut self.tables {
            Tables::Maglev(slots, tables) => tables.with(request.upstream(), |table| {
                let is_built = table.follow(version, all, *slots);
                (table.pick(number, available), is_built)
            }),
            Tables::Ring(points, bound, rings) => rings.with(request.upstream(), |ring| {
                let is_built = ring.follow(version, all, *points);
                (ring.pick(number, available, *bound), is_built)
            }),
        }
    }
}

/// A number below 1000 that is always the same for what belongs together, to choose its zone by.
pub(crate) fn coin(number: u64) -> u64 {
    mix(number ^ COIN) % 1000
}

/// Makes the choice of a zone another hash than that of a slot.
const COIN: u64 = 0xbb67_ae85_84ca_a73b;
