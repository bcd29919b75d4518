//! What a call costs by itself: a guest that has every phase and does nothing in any of them.

use std::hint::black_box;

use anyhow::Result;
use palisade_contract::{Name, PickRequest};
use serde_json::json;

use super::qps;
use crate::harness::Case;
use crate::traffic::{self, Cycle, allowed_address};
use crate::world::World;

pub(crate) fn cases(world: &World) -> Result<Vec<Case>> {
    let filter = || world.filter("noop", json!({}));
    let (connection, request, response, pick) = (filter()?, filter()?, filter()?, filter()?);
    let mut connections = Cycle::of(|client| traffic::connection(client, allowed_address(client)));
    let exchanges = || Cycle::of(|client| traffic::exchange(client, allowed_address(client)));
    let (mut requests, mut responses, mut picks) = (exchanges(), exchanges(), exchanges());
    let (asked, candidates) = (PickRequest { upstream: Name(3), version: 1, attempt: 0 }, traffic::candidates(2));
    let mut cases = vec![
        Case::new("noop: connection", move || drop(black_box(connection.connection(connections.take())))),
        Case::new("noop: request", move || drop(black_box(request.request(requests.take())))),
        Case::new("noop: response", move || drop(black_box(response.response(responses.take())))),
        Case::new("noop: pick of 2", move || drop(black_box(pick.pick(picks.take(), &asked, &candidates)))),
    ];
    cases.extend(qps::observing("noop", &filter)?);
    Ok(cases)
}
