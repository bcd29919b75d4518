//! A fresh instance for one request: instantiated, configured, called once, dropped.

use std::hint::black_box;

use anyhow::Result;
use palisade_contract::Plugin as _;
use serde_json::{Value, json};

use crate::harness::Case;
use crate::traffic::{self, Cycle, allowed_address};
use crate::world::World;

pub(crate) fn cases(world: &World) -> Result<Vec<Case>> {
    Ok(vec![
        case(world, "noop", "fresh instance: noop", json!({}))?,
        case(world, "firewall", "fresh instance: firewall, 1000 prefixes", json!({ "deny": traffic::denied(1_000) }))?,
    ])
}

fn case(world: &World, module: &str, name: &str, settings: Value) -> Result<Case> {
    let plugin = world.plugin(module, settings)?;
    let mut exchanges = Cycle::of(|client| traffic::exchange(client, allowed_address(client)));
    Ok(Case::new(name, move || drop(black_box(plugin.open().request(exchanges.take())))))
}
