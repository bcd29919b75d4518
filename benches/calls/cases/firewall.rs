//! The firewall's decisions, with few and with many networks.

use std::hint::black_box;
use std::net::IpAddr;
use std::rc::Rc;

use anyhow::{Result, ensure};
use palisade_contract::{Admission, Filter, Flow};
use serde_json::{Value, json};

use super::Cases;
use crate::traffic::{self, Cycle, allowed_address, denied_address};
use crate::world::World;

pub(crate) fn add(world: &World, cases: &mut Cases<'_>) -> Result<()> {
    for count in [1_000, 100_000] {
        let name = |what: &str| format!("firewall, {count} prefixes: {what}");
        let open = || world.filter("firewall", json!({ "deny": traffic::denied(count) }));
        cases.add(&name("connection accepted"), || connections(open()?, allowed_address, Admission::Accept))?;
        cases.add(&name("connection refused"), || connections(open()?, denied_address, Admission::Refuse))?;
        cases.add(&name("request proceeds"), || requests(open()?, allowed_address, "proceeds"))?;
        cases.add(&name("request denied"), || requests(open()?, denied_address, "denied"))?;
    }
    cases.add("firewall, 1000 prefixes and 3 rules: request proceeds", || {
        requests(world.filter("firewall", with_rules())?, allowed_address, "proceeds")
    })
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

fn connections(filter: Rc<dyn Filter>, client: fn(u64) -> IpAddr, expected: Admission) -> Result<impl FnMut()> {
    let mut connections = Cycle::of(|index| traffic::connection(index, client(index)));
    let admission = filter.connection(connections.take())?;
    ensure!(admission == expected, "the firewall says {admission:?}, expected {expected:?}");
    Ok(move || drop(black_box(filter.connection(connections.take()))))
}

fn requests(filter: Rc<dyn Filter>, client: fn(u64) -> IpAddr, expected: &str) -> Result<impl FnMut() + use<>> {
    let mut exchanges = Cycle::of(|index| traffic::exchange(index, client(index)));
    let decision = match filter.request(exchanges.take())? {
        Flow::Proceed => "proceeds",
        Flow::Reply(_) => "denied",
        Flow::Close => "closed",
        Flow::Wait => "waits",
    };
    ensure!(decision == expected, "a request is {decision}, expected {expected}");
    Ok(move || drop(black_box(filter.request(exchanges.take()))))
}
