//! `streams`: where a stream goes.

use palisade_contract::{ChooseError, Phase};

use super::{Guest, Interface, Str};
use crate::abi::stream as wire;
use crate::state::State;

type Chosen = (Result<(), wire::ChooseError>,);

pub(super) fn add(interface: &mut Interface<'_>) -> wasmtime::Result<()> {
    interface.func(
        "choose-upstream",
        |mut guest: Guest<'_>, (exchange, upstream): (u64, Str)| -> wasmtime::Result<Chosen> {
            guest.data().at_hand(exchange, &[Phase::Stream])?;
            let upstream = upstream.to_str(&guest)?.into_owned();
            let State { exchange, identity, .. } = guest.data_mut();
            let names = &identity.services.names;
            let chosen = match &mut exchange.alternatives {
                Some(alternatives) => alternatives.choose(|name| *names.text(name) == *upstream),
                None => Err(ChooseError::NotOffered),
            };
            Ok((chosen.map_err(wire::ChooseError::from),))
        },
    )
}
