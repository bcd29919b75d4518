//! `timer`: how often a plugin is to be called for no exchange.

use std::time::Duration;

use super::{Guest, Interface};
use crate::state::Stage;

const MILLIS: std::ops::RangeInclusive<u32> = 100..=3_600_000;

pub(super) fn add(interface: &mut Interface<'_>) -> wasmtime::Result<()> {
    interface.func("every", |mut guest: Guest<'_>, (millis,): (u32,)| {
        if guest.data().stage != Stage::Configure {
            wasmtime::bail!("timer.every outside of configure");
        }
        let is_interval = MILLIS.contains(&millis);
        if is_interval {
            guest.data_mut().tick_interval = Some(Duration::from_millis(millis.into()));
        }
        Ok((is_interval,))
    })
}
