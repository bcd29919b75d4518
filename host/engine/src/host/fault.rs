//! `fault`: why a call is about to fail.

use super::{Guest, Interface, Str};
use crate::meters::cut;

const MESSAGE_BYTES_MAX: usize = 1_000;

pub(super) fn add(interface: &mut Interface<'_>) -> wasmtime::Result<()> {
    interface.func("report", |mut guest: Guest<'_>, (message,): (Str,)| {
        let mut message = message.to_str(&guest)?.into_owned();
        cut(&mut message, MESSAGE_BYTES_MAX);
        guest.data_mut().fault = Some(message);
        Ok(())
    })
}
