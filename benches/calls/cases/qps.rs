//! What observing costs for each exchange: its beginning and its end.

use std::rc::Rc;

use anyhow::Result;
use palisade_contract::Filter;
use serde_json::json;

use crate::harness::Case;
use crate::traffic::{self, Cycle};
use crate::world::World;

/// Exchanges that the engine hands over at a time.
const BATCH: u32 = 64;

pub(crate) fn cases(world: &World) -> Result<Vec<Case>> {
    observing("qps", &|| world.filter("qps", json!({})))
}

/// An observer's exchanges, handed over as many at a time as the host does under load, and one by one as it does at rest.
pub(super) fn observing(name: &str, filter: &dyn Fn() -> Result<Rc<dyn Filter>>) -> Result<Vec<Case>> {
    let (batched, single) = (filter()?, filter()?);
    let mut batches = Cycle::of(|index| (traffic::begun(index), traffic::ended(index)));
    let mut singles = Cycle::of(|index| (traffic::begun(index), traffic::ended(index)));
    Ok(vec![
        Case::of_events(format!("{name}: an exchange observed, of {BATCH} at a time"), BATCH, move || {
            for _ in 0..BATCH {
                let (begun, ended) = batches.take();
                batched.begun(begun);
                batched.ended(ended);
            }
            batched.flush();
        }),
        Case::new(format!("{name}: an exchange observed, by itself"), move || {
            let (begun, ended) = singles.take();
            single.begun(begun);
            single.ended(ended);
            single.flush();
        }),
    ])
}
