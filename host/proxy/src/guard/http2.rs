//! The frames of an HTTP/2 client: what costs it next to nothing to send may not come without end (RFC 9113, section 10.5).
//!
//! A connection has credit. Frames that carry neither a request nor data take from it, resets most of all; requests, data
//! either way and time give some back. Clients that use the protocol for what it is for never come near the end; a flood of SETTINGS,
//! PING, PRIORITY, RST_STREAM (CVE-2023-44487), CONTINUATION (CVE-2024-27316), WINDOW_UPDATE or empty DATA is cut within some thousand frames.

use std::time::Duration;

use tokio::time::Instant;

/// With which a connection begins, and the most that it can have.
const CREDIT_MAX: u64 = 4_000;

/// What a second gives back.
const CREDIT_PER_SECOND: u64 = 200;

/// The bytes of data, either way, that give back one.
const BYTES_PER_CREDIT: usize = 512;

/// The bytes that we write which give back one: clients answer a frame of data, which is longer than this, with an update of each of
/// two windows, and what only acknowledges is shorter.
const BYTES_PER_CREDIT_WRITTEN: usize = 32;

/// What a request gives back.
const CREDIT_PER_HEAD: u64 = 2;

/// RFC 9113, section 3.4.
const PREFACE_BYTES: usize = 24;
const HEADER_BYTES: usize = 9;
const SETTING_BYTES: usize = 6;
const SETTINGS: u8 = 0x4;

/// One client's frames.
#[derive(Debug)]
pub(crate) struct Http2Guard {
    /// What is not looked at before the next frame's header: the preface, then payloads.
    skip: usize,
    /// A frame's header, or one setting of a SETTINGS frame: as much as came of it.
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    /// Settings that come before the next frame's header.
    settings: usize,
    credit: u64,
    refilled: Instant,
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
            Self::Flood => 0xb,
        };
        [0, 0, 8, 0x7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, code]
    }
}

impl Http2Guard {
    /// For a connection that begins now.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            skip: PREFACE_BYTES,
            header: [0; HEADER_BYTES],
            header_bytes: 0,
            settings: 0,
            credit: CREDIT_MAX,
            refilled: now,
        }
    }

    /// We have written so many bytes.
    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.give(u64::try_from(bytes / BYTES_PER_CREDIT_WRITTEN).unwrap_or(u64::MAX));
    }

    /// Looks at what came next. The clock is read only by a connection that has used up its credit.
    ///
    /// # Errors
    /// See [`Fault`].
    pub(crate) fn check(&mut self, bytes: &[u8], now: impl Fn() -> Instant) -> Result<(), Fault> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let skipped = self.skip.min(rest.len());
            self.skip -= skipped;
            rest = rest.get(skipped..).unwrap_or_default();
            let end = if self.settings > 0 { SETTING_BYTES } else { HEADER_BYTES };
            let wanted = self.header.get_mut(self.header_bytes..end).unwrap_or_default();
            let length = wanted.len().min(rest.len());
            let (taken, left) = rest.split_at_checked(length).unwrap_or_default();
            for (into, byte) in wanted.iter_mut().zip(taken) {
                *into = *byte;
            }
            rest = left;
            self.header_bytes += length;
            if self.header_bytes == end {
                self.header_bytes = 0;
                if self.settings > 0 { self.setting()? } else { self.frame(&now)? }
            }
        }
        Ok(())
    }

    /// A frame's header is complete (RFC 9113, section 4.1).
    fn frame(&mut self, now: &impl Fn() -> Instant) -> Result<(), Fault> {
        let [high, middle, low, kind, flags, ..] = self.header;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        if !is_length(kind, flags, length) {
            return Err(Fault::FrameSize);
        }
        if kind == SETTINGS {
            self.settings = length / SETTING_BYTES;
        } else {
            self.skip = length;
        }
        match cost(kind, flags, length) {
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
    fn setting(&mut self) -> Result<(), Fault> {
        const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];
        self.settings -= 1;
        let [high, low, first, ..] = self.header;
        if [high, low] == INITIAL_WINDOW_SIZE && first & 0x80 != 0 { Err(Fault::Window) } else { Ok(()) }
    }

    fn give(&mut self, credit: u64) {
        self.credit = self.credit.saturating_add(credit).min(CREDIT_MAX);
    }

    fn refill(&mut self, now: Instant) {
        let since: Duration = now.saturating_duration_since(self.refilled);
        let credit = u64::try_from(since.as_millis()).unwrap_or(u64::MAX).saturating_mul(CREDIT_PER_SECOND) / 1_000;
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
    const ENDS_STREAM: u8 = 0x1;
    match kind {
        // DATA.
        0x0 if length > 0 => Cost::Gives(credit_of(length)),
        0x0 if flags & ENDS_STREAM != 0 => Cost::Gives(0),
        0x0 => Cost::Takes(2),
        // HEADERS.
        0x1 => Cost::Gives(CREDIT_PER_HEAD),
        // RST_STREAM: what it cancels has cost more than its head has given.
        0x3 => Cost::Takes(8),
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
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let [_, high, middle, low] = u32::try_from(length).expect("a length").to_be_bytes();
        [&[high, middle, low, kind, flags, 0, 0, 0, 1][..], &vec![0; length]].concat()
    }

    /// How many rounds of these frames are taken in one moment, up to 100,000.
    fn rounds(frames: &[Vec<u8>], written: usize) -> usize {
        let now = Instant::now();
        let mut guard = Http2Guard::new(now);
        assert_eq!(guard.check(&[0; PREFACE_BYTES], || now), Ok(()));
        let round = frames.concat();
        (0..100_000)
            .find(|_| {
                let checked = guard.check(&round, || now);
                if written > 0 {
                    guard.wrote(written);
                }
                checked.is_err()
            })
            .unwrap_or(100_000)
    }

    #[test]
    fn floods_are_cut_and_use_is_not() {
        let (head, reset) = (frame(1, 4, 40), frame(3, 0, 4));
        // What a client floods with, whether it is answered with so many bytes, and how often it may.
        for (frames, written, limit) in [
            (vec![frame(4, 0, 0)], 9, 500),
            (vec![frame(4, 0, 60)], 9, 500),
            (vec![frame(6, 0, 8)], 17, 2_000),
            (vec![frame(2, 0, 5)], 0, 4_000),
            (vec![frame(8, 0, 4)], 0, 4_000),
            (vec![frame(9, 0, 0)], 0, 4_000),
            (vec![frame(0, 0, 0)], 0, 2_000),
            (vec![frame(0xbb, 0, 100)], 0, 4_000),
            (vec![head.clone(), reset.clone()], 0, 700),
            (vec![head.clone(), reset.clone()], 13, 1_000),
        ] {
            let taken = rounds(&frames, written);
            assert!(taken > limit / 4 && taken <= limit, "{taken} of {:?}", frames.first());
        }
        for (frames, written) in [
            // Requests without a body, answered.
            (vec![head.clone()], 30),
            // Uploads in small pieces.
            (vec![frame(0, 0, 1)], 0),
            // A download whose every piece is followed by updates of both windows.
            (vec![frame(8, 0, 4), frame(8, 0, 4)], 1_000),
            // A hundred streams of small events in one write, each followed by updates of both windows.
            ((0..200).map(|_| frame(8, 0, 4)).collect(), 100 * 69),
            // Requests with an empty end.
            (vec![head, frame(0, 1, 0)], 30),
        ] {
            let rounds = rounds(&frames, written);
            assert_eq!(rounds, 100_000, "{:?}", frames.first());
        }
    }

    #[test]
    fn lengths_and_windows_that_cannot_be_are_faults() {
        for (kind, flags, payload, fault) in [
            (2, 0, &[0; 4][..], Some(Fault::FrameSize)),
            (3, 0, &[0; 5], Some(Fault::FrameSize)),
            (4, 0, &[0; 7], Some(Fault::FrameSize)),
            (4, 1, &[0; 6], Some(Fault::FrameSize)),
            (6, 0, &[0; 9], Some(Fault::FrameSize)),
            (7, 0, &[0; 7], Some(Fault::FrameSize)),
            (8, 0, &[0; 3], Some(Fault::FrameSize)),
            (4, 0, &[0, 3, 0xff, 0xff, 0xff, 0xff, 0, 4, 0x80, 0, 0, 0], Some(Fault::Window)),
            (4, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff], None),
        ] {
            let mut guard = Http2Guard::new(Instant::now());
            let mut bytes = [vec![0; PREFACE_BYTES], frame(kind, flags, payload.len())].concat();
            bytes.truncate(PREFACE_BYTES + HEADER_BYTES);
            bytes.extend_from_slice(payload);
            let found = bytes.chunks(5).find_map(|piece| guard.check(piece, Instant::now).err());
            assert_eq!(found, fault, "{kind} {payload:?}");
        }
    }

    #[test]
    fn frames_are_found_however_they_are_cut_and_time_gives_credit() {
        let now = Instant::now();
        let bytes = [vec![0; PREFACE_BYTES], frame(4, 0, 12), frame(0, 0, 700), frame(6, 0, 8)].concat();
        for size in [1, 7, 9, 50, bytes.len()] {
            let mut guard = Http2Guard::new(now);
            bytes.chunks(size).for_each(|piece| assert_eq!(guard.check(piece, || now), Ok(())));
            assert_eq!(
                (guard.credit, guard.skip, guard.header_bytes, guard.settings),
                (CREDIT_MAX - 13, 0, 0, 0),
                "{size}"
            );
        }
        let mut guard = Http2Guard::new(now);
        guard.skip = 0;
        guard.credit = 0;
        assert_eq!(guard.check(&frame(6, 0, 8), || now), Err(Fault::Flood));
        guard.skip = 0;
        assert_eq!(guard.check(&frame(6, 0, 8), || now + Duration::from_secs(1)), Ok(()));
        assert_eq!(guard.credit, CREDIT_PER_SECOND - 4);
    }
}
