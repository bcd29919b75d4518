//! `response`: the head of the response at hand.

use http::StatusCode;
use palisade_contract::{HeadError, HeadLimits, Phase, ResponseHead, head};

use super::head::{Changed, all, changed, field, first, text, values};
use super::{Bytes, Guest, Interface, Str};
use crate::state::{Stage, State};

const PHASES: [Phase; 2] = [Phase::Response, Phase::ResponseBody];

pub(super) fn add(interface: &mut Interface<'_>) -> wasmtime::Result<()> {
    interface.func("header", |guest: Guest<'_>, (exchange, name): (u64, Str)| {
        Ok((first(&at(guest.data(), exchange)?.headers, &name.to_str(&guest)?),))
    })?;
    interface.func("header-values", |guest: Guest<'_>, (exchange, name): (u64, Str)| {
        Ok((values(&at(guest.data(), exchange)?.headers, &name.to_str(&guest)?),))
    })?;
    interface
        .func("headers", |guest: Guest<'_>, (exchange,): (u64,)| Ok((all(&at(guest.data(), exchange)?.headers),)))?;
    add_changing(interface)
}

fn add_changing(interface: &mut Interface<'_>) -> wasmtime::Result<()> {
    interface.func("set-status", |mut guest: Guest<'_>, (exchange, status): (u64, u16)| {
        change(guest.data_mut(), exchange, |response, _| set_status(response, status))
    })?;
    interface.func("set-header", |mut guest: Guest<'_>, (exchange, name, value): (u64, Str, Bytes)| {
        let (name, value) = match field(&guest, &name, &value)? {
            Ok(field) => field,
            Err(error) => return Ok(changed(Err(error))),
        };
        change(guest.data_mut(), exchange, |response, limits| head::set(&mut response.headers, limits, &name, &value))
    })?;
    interface.func("append-header", |mut guest: Guest<'_>, (exchange, name, value): (u64, Str, Bytes)| {
        let (name, value) = match field(&guest, &name, &value)? {
            Ok(field) => field,
            Err(error) => return Ok(changed(Err(error))),
        };
        if guest.data().stage == Stage::Phase(Phase::Balance) {
            let state = guest.data_mut();
            state.at_hand(exchange, &[Phase::Balance])?;
            return Ok(changed(state.exchange.add_picked_header(&name, &value)));
        }
        change(guest.data_mut(), exchange, |response, limits| {
            head::append(&mut response.headers, limits, &name, &value)
        })
    })?;
    interface.func("remove-header", |mut guest: Guest<'_>, (exchange, name): (u64, Str)| {
        let name = match text(&guest, &name)? {
            Ok(name) => name,
            Err(error) => return Ok(changed(Err(error))),
        };
        change(guest.data_mut(), exchange, |response, _| head::remove(&mut response.headers, &name))
    })
}

fn at(state: &State, exchange: u64) -> wasmtime::Result<&ResponseHead> {
    let response = state.at_hand(exchange, &PHASES)?.response.as_ref();
    response.ok_or_else(|| wasmtime::format_err!("the exchange has no response"))
}

fn change(
    state: &mut State,
    exchange: u64,
    make: impl FnOnce(&mut ResponseHead, HeadLimits) -> Result<(), HeadError>,
) -> wasmtime::Result<Changed> {
    state.at_hand(exchange, &PHASES)?;
    if !state.holds_head() {
        return Ok(changed(Err(HeadError::ReadOnly)));
    }
    state.before.response_changes(&state.exchange);
    let limits = state.exchange.limits;
    let Some(response) = &mut state.exchange.response else { wasmtime::bail!("the exchange has no response") };
    Ok(changed(make(response, limits)))
}

/// A status that keeps the body's framing as it is (RFC 9112, section 6.3).
fn set_status(response: &mut ResponseHead, status: u16) -> Result<(), HeadError> {
    let status = final_status(status)?;
    if status != response.status && (is_bodiless(status) || is_bodiless(response.status)) {
        return Err(HeadError::InvalidValue);
    }
    response.status = status;
    Ok(())
}

/// A status that ends an exchange.
pub(super) fn final_status(status: u16) -> Result<StatusCode, HeadError> {
    if !(200..=599).contains(&status) {
        return Err(HeadError::InvalidValue);
    }
    StatusCode::from_u16(status).map_err(|_| HeadError::InvalidValue)
}

fn is_bodiless(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}
