//! `request`: the head of the request at hand, beyond its hot fields.

use palisade_contract::{Exchange, HeadError, Phase, head};

use super::head::{all, bytes, changed, field, text, values};
use super::{Bytes, Guest, Interface, Str};
use crate::state::{Stage, State};

const READING: [Phase; 5] = [Phase::Request, Phase::RequestBody, Phase::Balance, Phase::Response, Phase::ResponseBody];

pub(super) fn add(interface: &mut Interface<'_>) -> wasmtime::Result<()> {
    add_reading(interface)?;
    add_headers(interface)?;
    add_changing(interface)
}

fn add_reading(interface: &mut Interface<'_>) -> wasmtime::Result<()> {
    interface.func("method", |guest: Guest<'_>, (exchange,): (u64,)| {
        Ok((guest.data().at_hand(exchange, &READING)?.request.method.as_str().to_owned(),))
    })?;
    interface.func("target", |guest: Guest<'_>, (exchange,): (u64,)| {
        let exchange = guest.data().at_hand(exchange, &READING)?;
        Ok((exchange.request.target.as_str().as_bytes().to_owned(),))
    })?;
    interface.func("authority", |guest: Guest<'_>, (exchange,): (u64,)| {
        Ok((guest.data().at_hand(exchange, &READING)?.request.authority_bytes().to_owned(),))
    })
}

fn add_headers(interface: &mut Interface<'_>) -> wasmtime::Result<()> {
    interface.func("header", |guest: Guest<'_>, (exchange, name): (u64, Str)| {
        let request = &guest.data().at_hand(exchange, &READING)?.request;
        Ok((request.header(&name.to_str(&guest)?).map(<[u8]>::to_owned),))
    })?;
    interface.func("header-values", |guest: Guest<'_>, (exchange, name): (u64, Str)| {
        let request = &guest.data().at_hand(exchange, &READING)?.request;
        let name = name.to_str(&guest)?;
        if name.eq_ignore_ascii_case("host") {
            return Ok((first_as_list(request.header("host")),));
        }
        Ok((values(&request.headers, &name),))
    })?;
    interface.func("headers", |guest: Guest<'_>, (exchange,): (u64,)| {
        let request = &guest.data().at_hand(exchange, &READING)?.request;
        let mut headers = all(&request.headers);
        if let Some(host) = request.header("host") {
            headers.insert(0, ("host".to_owned(), host.to_owned()));
        }
        Ok((headers,))
    })
}

fn first_as_list(value: Option<&[u8]>) -> Vec<Vec<u8>> {
    value.into_iter().map(<[u8]>::to_owned).collect()
}

fn add_changing(interface: &mut Interface<'_>) -> wasmtime::Result<()> {
    interface.func("set-header", |mut guest: Guest<'_>, (exchange, name, value): (u64, Str, Bytes)| {
        let (name, value) = match field(&guest, &name, &value)? {
            Ok(field) => field,
            Err(error) => return Ok(changed(Err(error))),
        };
        change(guest.data_mut(), exchange, |exchange| {
            head::set(&mut exchange.request.headers, exchange.limits, &name, &value)
        })
    })?;
    interface.func("append-header", |mut guest: Guest<'_>, (exchange, name, value): (u64, Str, Bytes)| {
        let (name, value) = match field(&guest, &name, &value)? {
            Ok(field) => field,
            Err(error) => return Ok(changed(Err(error))),
        };
        change(guest.data_mut(), exchange, |exchange| {
            head::append(&mut exchange.request.headers, exchange.limits, &name, &value)
        })
    })?;
    interface.func("remove-header", |mut guest: Guest<'_>, (exchange, name): (u64, Str)| {
        let name = match text(&guest, &name)? {
            Ok(name) => name,
            Err(error) => return Ok(changed(Err(error))),
        };
        change(guest.data_mut(), exchange, |exchange| head::remove(&mut exchange.request.headers, &name))
    })?;
    interface.func("set-target", |mut guest: Guest<'_>, (exchange, target): (u64, Bytes)| {
        let target = match bytes(&guest, &target) {
            Ok(target) => target,
            Err(error) => return Ok(changed(Err(error))),
        };
        change(guest.data_mut(), exchange, |exchange| head::set_target(&mut exchange.request, &target, exchange.limits))
    })?;
    interface.func("set-authority", |mut guest: Guest<'_>, (exchange, authority): (u64, Bytes)| {
        let authority = match bytes(&guest, &authority) {
            Ok(authority) => authority,
            Err(error) => return Ok(changed(Err(error))),
        };
        change(guest.data_mut(), exchange, |exchange| head::set_authority(&mut exchange.request, &authority))
    })
}

fn change(
    state: &mut State,
    exchange: u64,
    make: impl FnOnce(&mut Exchange) -> Result<(), HeadError>,
) -> wasmtime::Result<super::head::Changed> {
    state.at_hand(exchange, &READING)?;
    let is_changeable = match state.stage {
        Stage::Phase(Phase::Request) => true,
        Stage::Phase(Phase::RequestBody) => state.holds_head(),
        Stage::Phase(_) | Stage::Idle | Stage::Configure => false,
    };
    if !is_changeable {
        return Ok(changed(Err(HeadError::ReadOnly)));
    }
    state.before.request_changes(&state.exchange);
    Ok(changed(make(&mut state.exchange)))
}
