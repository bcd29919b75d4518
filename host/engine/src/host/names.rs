//! `names`: the text of names that guests are told by number.

use palisade_contract::Name;
use wasmtime::component::LinkerInstance;

use super::Guest;
use crate::state::State;

pub(super) fn add(interface: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    interface.func_wrap("text", |mut guest: Guest<'_>, (name,): (u32,)| {
        guest.data_mut().told_of_now = true;
        Ok((guest.data().identity.services.names.text(Name(name)).to_string(),))
    })
}
