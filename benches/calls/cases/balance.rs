//! The balancer's choice among few and many endpoints.

use std::hint::black_box;

use anyhow::{Result, ensure};
use palisade_contract::{Name, Pick, PickRequest};
use serde_json::json;

use super::Cases;
use crate::traffic::{self, Cycle, allowed_address};
use crate::world::World;

pub(crate) fn add(world: &World, cases: &mut Cases<'_>) -> Result<()> {
    for algorithm in ["weighted_round_robin", "least_request", "maglev"] {
        for endpoints in [2, 20] {
            let name = format!("balance, {algorithm}: pick of {endpoints}");
            cases.add(&name, || picks(world, algorithm, endpoints))?;
        }
    }
    Ok(())
}

fn picks(world: &World, algorithm: &str, endpoints: u32) -> Result<impl FnMut() + use<>> {
    let filter = world.filter("balance", json!({ "algorithm": algorithm }))?;
    let mut exchanges = Cycle::of(|client| traffic::exchange(client, allowed_address(client)));
    let asked = PickRequest { upstream: Name(3), version: 1, attempt: 0 };
    let candidates = traffic::candidates(endpoints);
    let picked = filter.pick(exchanges.take(), &asked, &candidates)?;
    ensure!(matches!(picked, Pick::Endpoint(_)), "the balancer picks none of {endpoints}");
    Ok(move || drop(black_box(filter.pick(exchanges.take(), &asked, &candidates))))
}
