//! One exchange's way through the chain of the three plugins, as the proxy makes it.

use std::hint::black_box;

use anyhow::{Result, ensure};
use palisade_contract::{Chain, Decision, Name, Pick, PickRequest, testing};
use serde_json::json;

use super::{Cases, firewall};
use crate::traffic::{self, Cycle, allowed_address};
use crate::world::World;

pub(crate) fn add(world: &World, cases: &mut Cases<'_>) -> Result<()> {
    cases.add("firewall, balance and qps: an exchange", || exchanges(world))
}

fn exchanges(world: &World) -> Result<impl FnMut() + use<>> {
    let chain = Chain::new(&[
        world.filter("firewall", firewall::with_rules())?,
        world.filter("balance", json!({ "algorithm": "weighted_round_robin" }))?,
        world.filter("qps", json!({}))?,
    ]);
    let mut exchanges = Cycle::of(|client| {
        (traffic::exchange(client, allowed_address(client)), traffic::begun(client), traffic::ended(client))
    });
    let (asked, candidates) = (PickRequest { upstream: Name(3), version: 1, attempt: 0 }, traffic::candidates(2));
    let mut pass = move || {
        let (exchange, begun, ended) = exchanges.take();
        let lease = chain.lease(exchange.id);
        lease.begun(begun);
        let decision = testing::at_once(lease.request(exchange));
        let picked = lease.pick(exchange, &asked, &candidates, || Pick::None);
        let _ = black_box(testing::at_once(lease.response(exchange)));
        lease.ended(ended);
        (decision, picked)
    };
    let (decision, picked) = pass();
    ensure!(matches!(decision, Decision::Proceed), "the chain lets nothing pass");
    ensure!(matches!(picked, Ok(Pick::Endpoint(_))), "the chain picks nothing");
    Ok(move || drop(black_box(pass())))
}
