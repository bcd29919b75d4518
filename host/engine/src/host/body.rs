//! `body`: what goes on in place of the piece of a body at hand.

use palisade_contract::{Edits, Phase};

use super::{Bytes, Guest, Interface};
use crate::abi::body::WriteError;
use crate::state::PieceAtHand;

const PHASES: [Phase; 3] = [Phase::RequestBody, Phase::ResponseBody, Phase::Stream];

/// Bytes of one call: what is more traps.
const WRITE_BYTES_MAX: usize = 16 << 20;

type Written = (Result<(), WriteError>,);

pub(super) fn add(interface: &mut Interface<'_>) -> wasmtime::Result<()> {
    interface.func("write", |mut guest: Guest<'_>, (exchange, bytes): (u64, Bytes)| -> wasmtime::Result<Written> {
        guest.data().at_hand(exchange, &PHASES)?;
        if bytes.len() > WRITE_BYTES_MAX {
            wasmtime::bail!("{} bytes were written at a time, at most {WRITE_BYTES_MAX} are taken", bytes.len());
        }
        // Out of the state for as long as the guest's memory is looked at, which belongs to the same store.
        let Some(mut piece) = guest.data_mut().piece.take() else {
            wasmtime::bail!("a host call about a piece of a body outside of `on-piece`");
        };
        let written = write(&mut piece, bytes.as_slice(&guest));
        guest.data_mut().piece = Some(piece);
        Ok((written,))
    })
}

fn write(piece: &mut PieceAtHand, bytes: &[u8]) -> Result<(), WriteError> {
    match piece.edits {
        Edits::None => return Err(WriteError::ReadOnly),
        Edits::SameLength | Edits::Any => {}
    }
    let written = piece.written.get_or_insert_default();
    if written.len().saturating_add(bytes.len()) > piece.bytes_max {
        return Err(WriteError::TooLarge);
    }
    written.extend_from_slice(bytes);
    Ok(())
}
