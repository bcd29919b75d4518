//! `reply`: an answer in place of the upstream's.

use http::HeaderMap;
use palisade_contract::{HeadError, HeadLimits, Phase, Reply, head};
use wasmtime::component::{LinkerInstance, WasmList, WasmStr};

use super::Guest;
use super::head::{changed, field};
use super::response::final_status;
use crate::state::State;

const LIMITS: HeadLimits = HeadLimits { headers: 64, bytes: 64 << 10 };
const BODY_BYTES_MAX: usize = 1 << 20;

/// The phases that can answer.
const FILTERS: [Phase; 4] = [Phase::Request, Phase::RequestBody, Phase::Response, Phase::ResponseBody];

type Fields = WasmList<(WasmStr, WasmList<u8>)>;

pub(super) fn add(interface: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    interface.func_wrap(
        "prepare",
        |mut guest: Guest<'_>, (exchange, status, headers, body): (u64, u16, Fields, WasmList<u8>)| {
            guest.data().at_hand(exchange, &FILTERS)?;
            let prepared = prepare(&mut guest, status, &headers, &body)?;
            Ok(changed(prepared.map(|reply| guest.data_mut().reply = Some(reply))))
        },
    )
}

fn prepare(
    guest: &mut Guest<'_>,
    status: u16,
    fields: &Fields,
    body: &WasmList<u8>,
) -> wasmtime::Result<Result<Reply, HeadError>> {
    if fields.len() > LIMITS.headers || body.len() > BODY_BYTES_MAX {
        return Ok(Err(HeadError::TooLarge));
    }
    let mut headers = HeaderMap::with_capacity(fields.len());
    for index in 0..fields.len() {
        let Some(each) = fields.get(&mut *guest, index) else { break };
        let (name, value) = each?;
        let (name, value) = match field(guest, &name, &value)? {
            Ok(field) => field,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = head::append(&mut headers, LIMITS, &name, &value) {
            return Ok(Err(error));
        }
    }
    let body = bytes::Bytes::copy_from_slice(body.as_le_slice(&*guest));
    Ok(final_status(status).map(|status| Reply { status, headers, body }))
}
