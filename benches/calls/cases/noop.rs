//! What a call costs by itself: a guest that has every phase and does nothing in any of them.

use std::hint::black_box;

use anyhow::Result;
use palisade_contract::{Name, PickRequest};
use serde_json::json;

use super::{Cases, qps};
use crate::traffic::{self, Cycle, allowed_address};
use crate::world::World;

pub(crate) fn add(world: &World, cases: &mut Cases<'_>) -> Result<()> {
    let open = || world.filter("noop", json!({}));
    let exchanges = || Cycle::of(|client| traffic::exchange(client, allowed_address(client)));
    cases.add("noop: connection", || {
        let (filter, mut connections) =
            (open()?, Cycle::of(|client| traffic::connection(client, allowed_address(client))));
        Ok(move || drop(black_box(filter.connection(connections.take()))))
    })?;
    cases.add("noop: request", || {
        let (filter, mut exchanges) = (open()?, exchanges());
        Ok(move || drop(black_box(filter.request(exchanges.take()))))
    })?;
    cases.add("noop: response", || {
        let (filter, mut exchanges) = (open()?, exchanges());
        Ok(move || drop(black_box(filter.response(exchanges.take()))))
    })?;
    for endpoints in [2, 20, 200] {
        cases.add(&format!("noop: pick of {endpoints}"), || {
            let (filter, mut exchanges) = (open()?, exchanges());
            let asked = PickRequest { upstream: Name(3), version: 1, attempt: 0 };
            let candidates = traffic::candidates(endpoints);
            Ok(move || drop(black_box(filter.pick(exchanges.take(), &asked, &candidates))))
        })?;
    }
    qps::add_observer(cases, "noop", &open)
}
