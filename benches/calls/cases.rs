//! What is measured: one file for each plugin, and those for which a whole chain or a whole instance counts.

mod balance;
mod chain;
mod firewall;
mod fresh;
mod noop;
mod qps;

use std::hint::black_box;

use anyhow::Result;
use palisade_contract::{Clock, SystemClock};

use crate::harness::Case;
use crate::world::World;

/// The cases whose name is wanted.
///
/// # Errors
/// A plugin does not load, or does not decide as it should.
pub(crate) fn all(world: &World, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Case>> {
    let mut cases = vec![Case::new("reading the clock", || {
        black_box(SystemClock.now());
    })];
    let plugins = [noop::cases, firewall::cases, balance::cases, qps::cases, fresh::cases, chain::cases];
    for of_plugin in plugins {
        cases.extend(of_plugin(world)?);
    }
    cases.retain(|case| wanted(&case.name));
    Ok(cases)
}
