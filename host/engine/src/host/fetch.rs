//! `fetch`: requests to the upstreams that the plugin was granted.

use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method};
use palisade_contract::{Callout, HeadLimits, Phase, head};

use super::head::{all, field};
use super::{Guest, Interface};
use crate::abi::fetch::{FetchError, Request, Response};

/// The head of a request that a plugin makes.
const LIMITS: HeadLimits = HeadLimits { headers: 100, bytes: 64 << 10 };
const TARGET_BYTES_MAX: usize = 16 << 10;

pub(super) fn add(interface: &mut Interface<'_>) -> wasmtime::Result<()> {
    interface.func("start", |mut guest: Guest<'_>, (exchange, request): (u64, Request)| {
        guest.data().at_hand(exchange, &[Phase::Request])?;
        let state = guest.data();
        if !state.can_wait {
            wasmtime::bail!("fetch.start in a filter that cannot wait: export \"async-request-filter\"");
        }
        let limits = state.limits;
        let upstream = request.upstream.to_str(&guest)?.into_owned();
        if !state.identity.fetch.contains(&upstream) {
            return Ok((Err(FetchError::NotGranted),));
        }
        let callout = match callout(&mut guest, upstream, &request, limits.fetch_body_bytes)? {
            Ok(callout) => callout,
            Err(error) => return Ok((Err(error),)),
        };
        let timeout = match request.timeout_millis {
            0 => limits.fetch_timeout,
            wanted => Duration::from_millis(wanted.into()).min(limits.fetch_timeout),
        };
        let state = guest.data_mut();
        let Some(place) = state.identity.under_way.place(limits.fetches) else {
            return Ok((Err(FetchError::TooMany),));
        };
        Ok((Ok(state.callouts.start(Callout { timeout, ..callout }, place)),))
    })?;
    interface.func("take", |mut guest: Guest<'_>, (ticket,): (u64,)| {
        let answer = guest.data_mut().callouts.take(ticket);
        let response = |reply: palisade_contract::Reply| Response {
            status: reply.status.as_u16(),
            headers: all(&reply.headers),
            body: reply.body.into(),
        };
        Ok((answer.map(|answer| answer.map(response).map_err(|error| FetchError::from(&error))),))
    })?;
    interface.func("cancel", |mut guest: Guest<'_>, (ticket,): (u64,)| {
        guest.data_mut().callouts.cancel(ticket);
        Ok(())
    })
}

/// The request, copied out of the guest's memory; its timeout is set later.
fn callout(
    guest: &mut Guest<'_>,
    upstream: String,
    request: &Request,
    body_bytes_max: usize,
) -> wasmtime::Result<Result<Callout, FetchError>> {
    if request.body.len() > body_bytes_max {
        return Ok(Err(FetchError::TooLarge));
    }
    let Some(headers) = headers(guest, request)? else { return Ok(Err(FetchError::Invalid)) };
    let method = Method::from_bytes(request.method.to_str(&*guest)?.as_bytes()).ok();
    let method = method.filter(|method| method != Method::CONNECT);
    let target = request.target.as_slice(&*guest);
    let target = if target.starts_with(b"/") && target.len() <= TARGET_BYTES_MAX {
        PathAndQuery::try_from(target).ok()
    } else {
        None
    };
    let authority = match &request.authority {
        None => Some(None),
        Some(authority) => authority_of(authority.as_slice(&*guest)).map(Some),
    };
    let (Some(method), Some(target), Some(authority)) = (method, target, authority) else {
        return Ok(Err(FetchError::Invalid));
    };
    let body = Bytes::copy_from_slice(request.body.as_slice(&*guest));
    Ok(Ok(Callout { upstream, method, target, authority, headers, body, timeout: Duration::ZERO, body_bytes_max }))
}

fn authority_of(bytes: &[u8]) -> Option<HeaderValue> {
    let authority = http::uri::Authority::try_from(bytes).ok()?;
    // Whom the request is for, not who asks (RFC 9110, section 4.2.4).
    if authority.as_str().contains('@') { None } else { HeaderValue::from_bytes(bytes).ok() }
}

fn headers(guest: &mut Guest<'_>, request: &Request) -> wasmtime::Result<Option<HeaderMap>> {
    if request.headers.len() > LIMITS.headers {
        return Ok(None);
    }
    let mut headers = HeaderMap::with_capacity(request.headers.len());
    for (name, value) in request.headers.each(guest)? {
        let Ok((name, value)) = field(guest, &name, &value)? else { return Ok(None) };
        if head::append(&mut headers, LIMITS, &name, &value).is_err() {
            return Ok(None);
        }
    }
    Ok(Some(headers))
}
