//! The frames of an HTTP/2 client: what costs it next to nothing to send may not come without end (RFC 9113, section 10.5).
//!
//! A connection has credit. Frames that carry neither a request nor data take from it, resets most of all; requests, data
//! either way and time give some back. Clients that use the protocol for what it is for never come near the end; a flood of SETTINGS,
//! PING, PRIORITY, RST_STREAM (CVE-2023-44487), CONTINUATION (CVE-2024-27316), WINDOW_UPDATE or empty DATA is cut within some thousand frames.
//!
//! Fields are looked at, too ([`Decoder`]): nothing of a block passes before all of it is there.

use std::time::Duration;

use bytes::BytesMut;
use palisade_config::ListenerLimits;
use tokio::time::Instant;

use super::block::{self, CONTINUATION, END_STREAM, Found, HEADER_BYTES, HEADERS, Head};
use super::fields::{Decoder, Part};

/// The bytes of data, either way, that give back one.
const BYTES_PER_CREDIT: usize = 512;

/// The bytes that we write which give back one: clients answer a frame of data, which is longer than this, with an update of each of
/// two windows, and what only acknowledges is shorter.
const BYTES_PER_CREDIT_WRITTEN: usize = 32;

/// What a request gives back.
const CREDIT_PER_HEAD: u64 = 2;

/// RFC 9113, section 3.4.
const PREFACE_BYTES: usize = 24;
const SETTING_BYTES: usize = 6;
const SETTINGS: u8 = 0x4;
const DATA: u8 = 0x0;
const RST_STREAM: u8 = 0x3;

/// Requests whose end has not come: of more than these, trailers are looked at as if they were heads.
const OPEN_MAX: usize = 1_024;

/// One client's frames.
#[derive(Debug)]
pub(crate) struct Http2Guard {
    /// What is not looked at before the next frame's header: the preface, then payloads.
    skip: usize,
    /// Settings that come before the next frame's header.
    settings: usize,
    /// What it begins with and is never more than, what there is of it, and what a second gives back.
    credit_max: u64,
    credit: u64,
    credit_per_second: u64,
    refilled: Instant,
    /// None once a block came that the parser will refuse.
    fields: Option<Decoder>,
    /// What a block may have.
    frames_max: usize,
    /// Requests that go on after their heads.
    open: Vec<u32>,
}

/// How far the bytes may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Passed {
    /// So many of them pass as they are; what follows them is what was written in their place.
    pub(crate) as_is: usize,
    /// So many were looked at. The others are to be shown again, with what follows them.
    pub(crate) looked: usize,
}

/// Why a connection is ended by its guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// It sends much that costs us and carries nothing.
    #[error("too many frames that carry neither requests nor data (RFC 9113, section 10.5)")]
    Flood,
    /// A frame whose length its kind settles.
    #[error("a frame is longer or shorter than its kind may be (RFC 9113, section 4.2)")]
    FrameSize,
    /// Fields that are none.
    #[error("a field block cannot be decoded (RFC 9113, section 4.3)")]
    Compression,
    /// A window beyond 2³¹−1.
    #[error("SETTINGS_INITIAL_WINDOW_SIZE is beyond its maximum (RFC 9113, section 6.5.2)")]
    Window,
}

impl Fault {
    /// The last frame of the connection: GOAWAY with the error's code (RFC 9113, sections 6.8 and 7).
    pub(crate) fn goaway(self) -> [u8; 17] {
        let code = match self {
            Self::Window => 0x3,
            Self::FrameSize => 0x6,
            Self::Compression => 0x9,
            Self::Flood => 0xb,
        };
        [0, 0, 8, 0x7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, code]
    }
}

impl Http2Guard {
    /// For a connection that begins now, whose client may use this much.
    pub(crate) fn new(limits: &ListenerLimits, now: Instant) -> Self {
        Self {
            skip: PREFACE_BYTES,
            settings: 0,
            credit_max: limits.control_frames,
            credit: limits.control_frames,
            credit_per_second: limits.control_frames_per_second,
            refilled: now,
            fields: Some(Decoder::new()),
            frames_max: block::frames_max(limits.header_bytes),
            open: Vec::new(),
        }
    }

    /// We have written so many bytes.
    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.give(u64::try_from(bytes / BYTES_PER_CREDIT_WRITTEN).unwrap_or(u64::MAX));
    }

    /// Looks at what came next, behind what is to be shown again. The clock is read only by a connection that has used up its credit.
    ///
    /// # Errors
    /// See [`Fault`].
    pub(crate) fn check(
        &mut self,
        bytes: &[u8],
        instead: &mut BytesMut,
        now: impl Fn() -> Instant,
    ) -> Result<Passed, Fault> {
        // What follows `copied` is not written in its place yet, if something is.
        let (mut at, mut copied, mut as_is) = (0, 0, None);
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if self.skip > 0 {
                let skipped = self.skip.min(rest.len());
                self.skip -= skipped;
                at += skipped;
                continue;
            }
            if self.settings > 0 {
                let Some(setting) = rest.first_chunk::<SETTING_BYTES>() else { break };
                self.setting(setting)?;
                at += SETTING_BYTES;
                continue;
            }
            let Some(head) = Head::read(rest) else { break };
            let is_looked_at = head.kind == HEADERS && self.fields.is_some();
            let found = if is_looked_at { block::find(rest, self.frames_max) } else { Found::Broken };
            match found {
                Found::Incomplete => break,
                Found::Broken | Found::Cut => {
                    if found == Found::Cut {
                        instead.extend_from_slice(as_is.and(bytes.get(copied..at)).unwrap_or_default());
                        as_is.get_or_insert(at);
                        block::refuse(instead);
                        copied = at;
                    }
                    if head.kind == HEADERS {
                        self.fields = None;
                    }
                    self.frame(head, &now)?;
                    at += HEADER_BYTES;
                }
                Found::Whole(block) => {
                    if let Some(fields) = self.block(&block, &now)? {
                        instead.extend_from_slice(as_is.and(bytes.get(copied..at)).unwrap_or_default());
                        as_is.get_or_insert(at);
                        block::write(block.stream, block.ends_stream, &fields, instead);
                        copied = at + block.length;
                    }
                    at += block.length;
                }
            }
        }
        instead.extend_from_slice(as_is.and(bytes.get(copied..at)).unwrap_or_default());
        Ok(Passed { as_is: as_is.unwrap_or(at), looked: at })
    }

    /// Looks at a head or trailers. What to give to the parser in the place of fields that are malformed.
    fn block(&mut self, block: &block::Block<'_>, now: &impl Fn() -> Instant) -> Result<Option<BytesMut>, Fault> {
        self.charge(cost(HEADERS, 0, 0), now)?;
        for _ in 1..block.frames {
            self.charge(cost(CONTINUATION, 0, 0), now)?;
        }
        let part = if self.open.contains(&block.stream) { Part::Trailers } else { Part::Head };
        if block.ends_stream {
            self.ended(block.stream);
        } else if part == Part::Head && self.open.len() < OPEN_MAX {
            self.open.push(block.stream);
        }
        let part = if block.depends_on_itself { Part::Refused } else { part };
        let Some(decoder) = &mut self.fields else { return Ok(None) };
        decoder.read(&block.fields, part).map_err(|_| Fault::Compression)
    }

    /// Nothing more comes of a request.
    fn ended(&mut self, stream: u32) {
        if let Some(place) = self.open.iter().position(|open| *open == stream) {
            self.open.swap_remove(place);
        }
    }

    /// A frame's header is complete (RFC 9113, section 4.1).
    fn frame(&mut self, head: Head, now: &impl Fn() -> Instant) -> Result<(), Fault> {
        let Head { length, kind, flags, stream } = head;
        if !is_length(kind, flags, length) {
            return Err(Fault::FrameSize);
        }
        if kind == SETTINGS {
            self.settings = length / SETTING_BYTES;
        } else {
            self.skip = length;
        }
        if kind == RST_STREAM || (kind == DATA && flags & END_STREAM != 0) {
            self.ended(stream);
        }
        self.charge(cost(kind, flags, length), now)
    }

    fn charge(&mut self, cost: Cost, now: &impl Fn() -> Instant) -> Result<(), Fault> {
        match cost {
            Cost::Gives(credit) => self.give(credit),
            Cost::Takes(credit) => {
                if self.credit < credit {
                    self.refill(now());
                }
                self.credit = self.credit.checked_sub(credit).ok_or(Fault::Flood)?;
            }
        }
        Ok(())
    }

    /// A setting is complete (RFC 9113, section 6.5.1).
    fn setting(&mut self, [high, low, first, ..]: &[u8; SETTING_BYTES]) -> Result<(), Fault> {
        const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];
        self.settings -= 1;
        if [*high, *low] == INITIAL_WINDOW_SIZE && first & 0x80 != 0 { Err(Fault::Window) } else { Ok(()) }
    }

    fn give(&mut self, credit: u64) {
        self.credit = self.credit.saturating_add(credit).min(self.credit_max);
    }

    fn refill(&mut self, now: Instant) {
        let since: Duration = now.saturating_duration_since(self.refilled);
        let credit =
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX).saturating_mul(self.credit_per_second) / 1_000;
        if credit > 0 {
            self.refilled = now;
            self.give(credit);
        }
    }
}

/// Whether a frame of this kind may have this length (RFC 9113, sections 6.3 to 6.9).
fn is_length(kind: u8, flags: u8, length: usize) -> bool {
    match kind {
        // PRIORITY.
        0x2 => length == 5,
        // RST_STREAM and WINDOW_UPDATE.
        0x3 | 0x8 => length == 4,
        // One that acknowledges says nothing.
        SETTINGS if flags & 0x1 != 0 => length == 0,
        SETTINGS => length.is_multiple_of(SETTING_BYTES),
        // PING.
        0x6 => length == 8,
        // GOAWAY.
        0x7 => length >= 8,
        _ => true,
    }
}

enum Cost {
    Gives(u64),
    Takes(u64),
}

/// RFC 9113, section 6.
fn cost(kind: u8, flags: u8, length: usize) -> Cost {
    match kind {
        DATA if length > 0 => Cost::Gives(credit_of(length)),
        DATA if flags & END_STREAM != 0 => Cost::Gives(0),
        DATA => Cost::Takes(2),
        HEADERS => Cost::Gives(CREDIT_PER_HEAD),
        // What it cancels has cost more than its head has given.
        RST_STREAM => Cost::Takes(8),
        // SETTINGS and PING are answered.
        SETTINGS => Cost::Takes(10),
        0x6 => Cost::Takes(4),
        // PRIORITY, PUSH_PROMISE, GOAWAY, WINDOW_UPDATE, CONTINUATION, and what is not known.
        _ => Cost::Takes(1),
    }
}

fn credit_of(bytes: usize) -> u64 {
    u64::try_from(bytes / BYTES_PER_CREDIT).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
