//! An exchange with an instance of its own, against one that shares the worker's: one call, from the lease to its end.

use std::hint::black_box;

use anyhow::{Result, ensure};
use palisade_config::{Isolation, Life, PluginLimits};
use palisade_contract::{Chain, Decision, Plugin as _, WorkerServices, testing};
use serde_json::{Value, json};

use super::Cases;
use crate::traffic::{self, Cycle, allowed_address};
use crate::world::World;

pub(crate) fn add(world: &World, cases: &mut Cases<'_>) -> Result<()> {
    for (module, name) in [("noop", "noop"), ("firewall", "firewall, 1000 prefixes")] {
        let settings = || if module == "noop" { json!({}) } else { json!({ "deny": traffic::denied(1_000) }) };
        let own = Life { isolation: Isolation::Request, ..Life::default() };
        let (shared, limits) = (Life::default(), PluginLimits::default());
        // More than a slot of the pool has.
        let beyond_the_pool = PluginLimits { memory_bytes: 256 << 20, ..limits };
        cases.add(&format!("an exchange, shared instance: {name}"), || {
            exchanges(world, (module, settings()), shared, limits)
        })?;
        cases.add(&format!("an exchange, instance of its own from the pool: {name}"), || {
            exchanges(world, (module, settings()), own, limits)
        })?;
        cases.add(&format!("an exchange, instance of its own made for itself: {name}"), || {
            exchanges(world, (module, settings()), own, beyond_the_pool)
        })?;
    }
    Ok(())
}

fn exchanges(
    world: &World,
    (module, settings): (&str, Value),
    life: Life,
    limits: PluginLimits,
) -> Result<impl FnMut() + use<>> {
    let filter = world.plugin_with(module, settings, life, limits)?.open(&WorkerServices::default());
    let chain = Chain::new(&[filter]);
    let mut exchanges = Cycle::of(|client| traffic::exchange(client, allowed_address(client)));
    let mut pass = move || {
        let exchange = exchanges.take();
        let lease = chain.lease(exchange.id);
        testing::at_once(lease.request(exchange))
    };
    ensure!(matches!(pass(), Decision::Proceed), "it lets nothing pass");
    Ok(move || drop(black_box(pass())))
}
