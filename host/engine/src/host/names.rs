//! `names`: the text of names that guests are told by number.

use palisade_contract::Name;

use super::{Guest, Interface};

pub(super) fn add(interface: &mut Interface<'_>) -> wasmtime::Result<()> {
    interface.func("text", |mut guest: Guest<'_>, (name,): (u32,)| {
        guest.data_mut().told_of_now = true;
        Ok((guest.data().identity.services.names.text(Name(name)).to_string(),))
    })
}
