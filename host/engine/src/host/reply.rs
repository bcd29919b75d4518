//! `reply`: an answer in place of the upstream's.

use http::HeaderMap;
use palisade_contract::{HeadError, HeadLimits, Phase, Reply, head};

use super::head::{changed, field};
use super::response::final_status;
use super::{Bytes, Guest, Interface, List, Str};

const LIMITS: HeadLimits = HeadLimits { headers: 64, bytes: 64 << 10 };
const BODY_BYTES_MAX: usize = 1 << 20;

/// The phases that can answer.
const FILTERS: [Phase; 4] = [Phase::Request, Phase::RequestBody, Phase::Response, Phase::ResponseBody];

type Fields = List<(Str, Bytes)>;

pub(super) fn add(interface: &mut Interface<'_>) -> wasmtime::Result<()> {
    interface.func("prepare", |mut guest: Guest<'_>, (exchange, status, headers, body): (u64, u16, Fields, Bytes)| {
        guest.data().at_hand(exchange, &FILTERS)?;
        let prepared = prepare(&mut guest, status, &headers, &body)?;
        Ok(changed(prepared.map(|reply| guest.data_mut().reply = Some(reply))))
    })
}

fn prepare(
    guest: &mut Guest<'_>,
    status: u16,
    fields: &Fields,
    body: &Bytes,
) -> wasmtime::Result<Result<Reply, HeadError>> {
    if fields.len() > LIMITS.headers || body.len() > BODY_BYTES_MAX {
        return Ok(Err(HeadError::TooLarge));
    }
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields.each(guest)? {
        let (name, value) = match field(guest, &name, &value)? {
            Ok(field) => field,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = head::append(&mut headers, LIMITS, &name, &value) {
            return Ok(Err(error));
        }
    }
    let body = bytes::Bytes::copy_from_slice(body.as_slice(&*guest));
    Ok(final_status(status).map(|status| Reply { status, headers, body }))
}
