//! The firewall's decisions, with few and with many networks.

use std::hint::black_box;
use std::net::IpAddr;

use anyhow::{Result, ensure};
use palisade_contract::{Admission, Flow};
use serde_json::{Value, json};

use crate::harness::Case;
use crate::traffic::{self, Cycle, allowed_address, denied_address};
use crate::world::World;

pub(crate) fn cases(world: &World) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for count in [1_000, 100_000] {
        let settings = || json!({ "deny": traffic::denied(count) });
        let name = |what: &str| format!("firewall, {count} prefixes: {what}");
        cases.push(connections(world, name("connection, accepted"), settings(), allowed_address)?);
        cases.push(connections(world, name("connection, refused"), settings(), denied_address)?);
        cases.push(requests(world, name("request, proceeds"), settings(), allowed_address)?);
        cases.push(requests(world, name("request, denied"), settings(), denied_address)?);
    }
    let name = "firewall, 1000 prefixes and 3 rules: request, proceeds";
    cases.push(requests(world, name.into(), with_rules(), allowed_address)?);
    Ok(cases)
}

/// A thousand networks and three rules, of which none applies.
pub(super) fn with_rules() -> Value {
    json!({
        "deny": traffic::denied(1_000),
        "rules": [
            { "name": "admin", "action": "deny", "when": { "path_prefix": ["/admin", "/internal/"] } },
            { "name": "writes", "action": "deny", "when": { "methods": ["PUT", "DELETE"], "hosts": ["*.foobar.com"] } },
            { "name": "scripts", "action": "deny", "when": { "path_regex": r"\.(php|asp|cgi)$" } },
        ],
    })
}

fn connections(world: &World, name: String, settings: Value, client: fn(u64) -> IpAddr) -> Result<Case> {
    let filter = world.filter("firewall", settings)?;
    let mut connections = Cycle::of(|index| traffic::connection(index, client(index)));
    let accepts = filter.connection(connections.take())? == Admission::Accept;
    ensure!(accepts == name.contains("accepted"), "{name}: decides otherwise");
    Ok(Case::new(name, move || drop(black_box(filter.connection(connections.take())))))
}

fn requests(world: &World, name: String, settings: Value, client: fn(u64) -> IpAddr) -> Result<Case> {
    let filter = world.filter("firewall", settings)?;
    let mut exchanges = Cycle::of(|index| traffic::exchange(index, client(index)));
    let proceeds = matches!(filter.request(exchanges.take())?, Flow::Proceed);
    ensure!(proceeds == name.contains("proceeds"), "{name}: decides otherwise");
    Ok(Case::new(name, move || drop(black_box(filter.request(exchanges.take())))))
}
