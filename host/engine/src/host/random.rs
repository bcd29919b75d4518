//! `random`: the operating system's generator.

use super::{Guest, Interface};

const BYTES_MAX: u32 = 65_536;

pub(super) fn add(interface: &mut Interface<'_>) -> wasmtime::Result<()> {
    interface.func("number", |mut guest: Guest<'_>, (): ()| {
        guest.data_mut().told_of_now = true;
        Ok((number()?,))
    })?;
    interface.func("bytes", |mut guest: Guest<'_>, (count,): (u32,)| {
        guest.data_mut().told_of_now = true;
        if count > BYTES_MAX {
            wasmtime::bail!("{count} random bytes asked for, at most {BYTES_MAX} are given");
        }
        let mut bytes = vec![0; usize::try_from(count)?];
        getrandom::fill(&mut bytes).map_err(wasmtime::Error::new)?;
        Ok((bytes,))
    })
}

/// 64 random bits.
pub(super) fn number() -> wasmtime::Result<u64> {
    getrandom::u64().map_err(wasmtime::Error::new)
}
