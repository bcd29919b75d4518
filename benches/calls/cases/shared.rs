//! What is shared: one call for a counter or a value, and the rate limiter, which makes three in a request.

use std::hint::black_box;

use anyhow::{Result, ensure};
use palisade_contract::{Flow, testing};
use serde_json::json;

use super::Cases;
use crate::traffic::{self, Cycle, allowed_address};
use crate::world::World;

/// Calls that the guest makes in one request, so that the request itself hardly counts.
const CALLS: u32 = 1_000;

pub(crate) fn add(world: &World, cases: &mut Cases<'_>) -> Result<()> {
    let key_of_32 = "k".repeat(32);
    for (name, prepare, call) in [
        ("shared: add to a hot counter", "/add/hot", format!("/add/hot/{CALLS}")),
        ("shared: add to a hot counter, key of 32 bytes", "/", format!("/add/{key_of_32}/{CALLS}")),
        ("shared: get of 32 bytes", "/set/value/0123456789abcdef0123456789abcdef", format!("/get/value/{CALLS}")),
    ] {
        cases.add_with_events(name, CALLS, || calls(world, prepare, &call))?;
    }
    cases.add("rate-limit: request proceeds, window", || requests(world, None))?;
    cases.add("rate-limit: request proceeds, bucket", || requests(world, Some(1_000_000)))
}

fn calls(world: &World, prepare: &str, call: &str) -> Result<impl FnMut() + use<>> {
    let filter = world.filter("shares", json!({}))?;
    let _ = filter.request(&mut testing::exchange(prepare))?;
    let mut exchange = testing::exchange(call);
    ensure!(matches!(filter.request(&mut exchange)?, Flow::Reply(_)), "{call} is not answered");
    Ok(move || drop(black_box(filter.request(&mut exchange))))
}

fn requests(world: &World, burst: Option<u32>) -> Result<impl FnMut() + use<>> {
    // A million a second: nobody is ever refused.
    let limit = json!({ "name": "all", "requests": 1_000_000, "per": "1s", "burst": burst });
    let filter = world.filter("rate-limit", json!({ "limits": [limit] }))?;
    let mut exchanges = Cycle::of(|client| traffic::exchange(client, allowed_address(client)));
    ensure!(matches!(filter.request(exchanges.take())?, Flow::Proceed), "it refuses the first request");
    Ok(move || drop(black_box(filter.request(exchanges.take()))))
}
