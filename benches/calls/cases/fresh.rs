//! A fresh instance for one request: opened, called once, dropped.

use std::hint::black_box;

use anyhow::Result;
use palisade_contract::{Plugin as _, WorkerServices};
use serde_json::{Value, json};

use super::Cases;
use crate::traffic::{self, Cycle, allowed_address};
use crate::world::World;

pub(crate) fn add(world: &World, cases: &mut Cases<'_>) -> Result<()> {
    cases.add("fresh instance: noop", || requests(world, "noop", json!({})))?;
    cases.add("fresh instance: firewall, 1000 prefixes", || {
        requests(world, "firewall", json!({ "deny": traffic::denied(1_000) }))
    })
}

fn requests(world: &World, module: &str, settings: Value) -> Result<impl FnMut() + use<>> {
    let plugin = world.plugin(module, settings)?;
    let mut exchanges = Cycle::of(|client| traffic::exchange(client, allowed_address(client)));
    let worker = WorkerServices::default();
    Ok(move || drop(black_box(plugin.open(&worker).request(exchanges.take()))))
}
