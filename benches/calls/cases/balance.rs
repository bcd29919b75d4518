//! The balancer's choice among few and many endpoints.

use std::hint::black_box;

use anyhow::{Result, ensure};
use palisade_contract::{Name, Pick, PickRequest};
use palisade_proxy::OwnChoice;
use serde_json::json;

use super::Cases;
use crate::traffic::{self, Cycle, allowed_address};
use crate::world::World;

pub(crate) fn add(world: &World, cases: &mut Cases<'_>) -> Result<()> {
    for algorithm in ["weighted_round_robin", "least_request", "peak_ewma", "maglev", "ring_hash", "sticky_cookie"] {
        for endpoints in [2, 20, 200] {
            let name = format!("balance, {algorithm}: pick of {endpoints}");
            cases.add(&name, || picks(world, algorithm, endpoints))?;
        }
    }
    for endpoints in [2, 20, 200] {
        cases.add(&format!("the host itself: pick of {endpoints}"), || Ok(host_picks(endpoints)))?;
    }
    Ok(())
}

fn picks(world: &World, algorithm: &str, endpoints: u32) -> Result<impl FnMut() + use<>> {
    let mut settings = json!({ "algorithm": algorithm });
    if algorithm == "sticky_cookie"
        && let Some(settings) = settings.as_object_mut()
    {
        settings.insert("cookie".to_owned(), json!({ "name": "node", "secret": "0123456789abcdef" }));
    }
    let filter = world.filter("balance", settings)?;
    let mut exchanges = Cycle::of(|client| traffic::exchange(client, allowed_address(client)));
    let asked = PickRequest { upstream: Name(3), version: 1, attempt: 0 };
    let candidates = traffic::candidates(endpoints);
    let picked = filter.pick(exchanges.take(), &asked, &candidates)?;
    ensure!(matches!(picked, Pick::Endpoint(_)), "the balancer picks none of {endpoints}");
    Ok(move || drop(black_box(filter.pick(exchanges.take(), &asked, &candidates))))
}

/// What the host does where there is no balancer, without looking at its endpoints first.
fn host_picks(endpoints: u32) -> impl FnMut() {
    let choice = OwnChoice::new();
    let candidates = traffic::candidates(endpoints);
    move || {
        black_box(choice.pick(&candidates));
    }
}
