//! The balancer's choice among few and many endpoints.

use std::hint::black_box;

use anyhow::{Result, ensure};
use palisade_contract::{Name, Pick, PickRequest};
use serde_json::json;

use crate::harness::Case;
use crate::traffic::{self, Cycle, allowed_address};
use crate::world::World;

pub(crate) fn cases(world: &World) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for algorithm in ["weighted_round_robin", "least_request", "maglev"] {
        for endpoints in [2, 20] {
            cases.push(case(world, algorithm, endpoints)?);
        }
    }
    Ok(cases)
}

fn case(world: &World, algorithm: &str, endpoints: u32) -> Result<Case> {
    let filter = world.filter("balance", json!({ "algorithm": algorithm }))?;
    let mut exchanges = Cycle::of(|client| traffic::exchange(client, allowed_address(client)));
    let (asked, candidates) =
        (PickRequest { upstream: Name(3), version: 1, attempt: 0 }, traffic::candidates(endpoints));
    let name = format!("balance, {algorithm}: pick of {endpoints}");
    let picked = filter.pick(exchanges.take(), &asked, &candidates)?;
    ensure!(matches!(picked, Pick::Endpoint(_)), "{name}: picks none");
    Ok(Case::new(name, move || drop(black_box(filter.pick(exchanges.take(), &asked, &candidates)))))
}
