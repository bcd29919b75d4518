//! What is measured: one file for each plugin, and those for which a whole chain or a whole instance counts.

mod balance;
mod chain;
mod firewall;
mod fresh;
mod length;
mod noop;
mod qps;
mod shared;

use std::hint::black_box;

use anyhow::Result;
use palisade_contract::{Clock, SystemClock};
use palisade_proxy::TurnClock;

use crate::harness::Case;
use crate::world::World;

pub(crate) use length::line;

/// The cases that are wanted: the others are not even made ready.
pub(crate) struct Cases<'a> {
    wanted: &'a dyn Fn(&str) -> bool,
    list: Vec<Case>,
}

impl<'a> Cases<'a> {
    /// Those whose name is wanted.
    ///
    /// # Errors
    /// A plugin does not load, or does not decide as it should.
    pub(crate) fn all(world: &World, wanted: &'a dyn Fn(&str) -> bool) -> Result<Vec<Case>> {
        let mut cases = Self { wanted, list: Vec::new() };
        let clocks: [(&str, &'static dyn Clock); 2] =
            [("reading the system's clock", &SystemClock), ("reading the clock that times calls", &TurnClock)];
        for (name, clock) in clocks {
            cases.add(name, || {
                Ok(|| {
                    black_box(clock.now());
                })
            })?;
        }
        for add in [noop::add, firewall::add, balance::add, qps::add, fresh::add, chain::add, length::add, shared::add]
        {
            add(world, &mut cases)?;
        }
        Ok(cases.list)
    }

    /// A case that tells the time of one run.
    fn add<R: FnMut() + 'static>(&mut self, name: &str, make: impl FnOnce() -> Result<R>) -> Result<()> {
        self.add_with_events(name, 1, make)
    }

    /// A case of which each run is so many events: the time for one of these is told.
    fn add_with_events<R: FnMut() + 'static>(
        &mut self,
        name: &str,
        events: u32,
        make: impl FnOnce() -> Result<R>,
    ) -> Result<()> {
        if (self.wanted)(name) {
            self.list.push(Case { name: name.to_owned(), events, run: Box::new(make()?) });
        }
        Ok(())
    }
}
