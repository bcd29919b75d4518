//! What observing costs for each exchange: its beginning and its end.

use std::rc::Rc;

use anyhow::Result;
use palisade_contract::Filter;
use serde_json::json;

use super::Cases;
use crate::traffic::{self, Cycle};
use crate::world::World;

/// Exchanges that the engine hands over at a time.
const BATCH: u32 = 64;

pub(crate) fn add(world: &World, cases: &mut Cases<'_>) -> Result<()> {
    add_observer(cases, "qps", &|| world.filter("qps", json!({})))
}

/// An observer's exchanges, handed over as many at a time as the host does under load, and one by one as it does at rest.
pub(super) fn add_observer(cases: &mut Cases<'_>, name: &str, open: &dyn Fn() -> Result<Rc<dyn Filter>>) -> Result<()> {
    let exchanges = || Cycle::of(|index| (traffic::begun(index), traffic::ended(index)));
    cases.add_with_events(&format!("{name}: an exchange observed, of {BATCH} at a time"), BATCH, || {
        let (filter, mut exchanges) = (open()?, exchanges());
        Ok(move || {
            for _ in 0..BATCH {
                let (begun, ended) = exchanges.take();
                filter.begun(begun);
                filter.ended(ended);
            }
            filter.flush();
        })
    })?;
    cases.add(&format!("{name}: an exchange observed, by itself"), || {
        let (filter, mut exchanges) = (open()?, exchanges());
        Ok(move || {
            let (begun, ended) = exchanges.take();
            filter.begun(begun);
            filter.ended(ended);
            filter.flush();
        })
    })
}
