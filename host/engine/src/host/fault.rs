//! `fault`: why a call is about to fail.

use wasmtime::component::{LinkerInstance, WasmStr};

use super::Guest;
use crate::meters::cut;
use crate::state::State;

const MESSAGE_BYTES_MAX: usize = 1_000;

pub(super) fn add(interface: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    interface.func_wrap("report", |mut guest: Guest<'_>, (message,): (WasmStr,)| {
        let mut message = message.to_str(&guest)?.into_owned();
        cut(&mut message, MESSAGE_BYTES_MAX);
        guest.data_mut().fault = Some(message);
        Ok(())
    })
}
