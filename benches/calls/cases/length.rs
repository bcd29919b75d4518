//! What each further plugin of a chain costs: chains of one to ten plugins that do nothing.

use std::hint::black_box;
use std::rc::Rc;

use anyhow::{Result, ensure};
use benches::{Line, Spread};
use palisade_contract::{Chain, Decision, Filter, testing};
use serde_json::json;

use super::Cases;
use crate::harness::Case;
use crate::traffic::{self, Cycle, allowed_address};
use crate::world::World;

const LENGTHS: u32 = 10;

pub(crate) fn add(world: &World, cases: &mut Cases<'_>) -> Result<()> {
    (1..=LENGTHS).try_for_each(|length| cases.add(&name(length), || requests(world, length)))
}

/// The line through the chains' figures: a row that says what a plugin of a chain costs, and how straight the line is.
pub(crate) fn line(cases: &[Case], spreads: &[Spread]) -> Option<String> {
    let figure = |length: u32| {
        let index = cases.iter().position(|case| case.name == name(length))?;
        spreads.get(index).map(|spread| (f64::from(length), spread.median))
    };
    let Line { slope, start, r_squared } = Line::through(&(1..=LENGTHS).filter_map(figure).collect::<Vec<_>>())?;
    Some(format!("A chain of n plugins: {start:.0} ns + n × {slope:.0} ns (R² = {r_squared:.4})"))
}

fn name(length: u32) -> String {
    format!("a chain of {length} noop: request and response")
}

fn requests(world: &World, length: u32) -> Result<impl FnMut() + use<>> {
    let filters: Result<Vec<Rc<dyn Filter>>> = (0..length).map(|_| world.filter("noop", json!({}))).collect();
    let chain = Chain::new(&filters?);
    let mut exchanges = Cycle::of(|client| traffic::exchange(client, allowed_address(client)));
    let mut pass = move || {
        let exchange = exchanges.take();
        let lease = chain.lease(exchange.id);
        let decision = testing::at_once(lease.request(exchange));
        let _ = black_box(testing::at_once(lease.response(exchange)));
        decision
    };
    ensure!(matches!(pass(), Decision::Proceed), "the chain lets nothing pass");
    Ok(move || drop(black_box(pass())))
}
