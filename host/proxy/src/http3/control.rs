//! The streams that a client opens one way: its control stream, the two of QPACK, and those that mean nothing (RFC 9114,
//! section 6.2; RFC 9204, section 4.2).

use std::cell::Cell;
use std::future::poll_fn;

use bytes::{Bytes, BytesMut};
use quinn::RecvStream;

use super::fault::{Code, Fault};
use super::frame;
use super::reader::{Piece, Reader, Take, poll_read};

/// The types of streams.
const CONTROL: u64 = 0x0;
const PUSH: u64 = 0x1;
const ENCODER: u64 = 0x2;
const DECODER: u64 = 0x3;

/// The longest payload that a frame of a control stream has: settings are a few pairs of integers.
const PAYLOAD_BYTES_MAX: u64 = 4 << 10;

/// Settings of HTTP/2 that no client may send (RFC 9114, section 7.2.4.1).
const HTTP2_SETTINGS: [u64; 5] = [0x0, 0x2, 0x3, 0x4, 0x5];
/// Settings that are switches: SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 9220, section 3), SETTINGS_H3_DATAGRAM (RFC 9297,
/// section 2.1.1).
const SWITCHES: [u64; 2] = [0x8, 0x33];

/// What a client has opened already: one of each (RFC 9114, section 6.2.1; RFC 9204, section 4.2).
#[derive(Debug, Default)]
pub(super) struct Opened {
    control: Cell<bool>,
    encoder: Cell<bool>,
    decoder: Cell<bool>,
}

/// Reads one stream to its end. One that means nothing is stopped.
///
/// # Errors
/// What ends the connection. A client that leaves is none.
pub(super) async fn run(mut stream: RecvStream, opened: &Opened) -> Result<(), Fault> {
    let mut read = Bytes::new();
    let Some(kind) = kind(&mut stream, &mut read).await else { return Ok(()) };
    let first = |place: &Cell<bool>| match place.replace(true) {
        true => Err(Fault::Connection(Code::StreamCreationError, "a stream that there may be one of is there twice")),
        false => Ok(()),
    };
    match kind {
        CONTROL => {
            first(&opened.control)?;
            Control::default().run(Reader::with(stream, read)).await
        }
        ENCODER => {
            first(&opened.encoder)?;
            bytes(stream, read, encoder).await
        }
        DECODER => {
            first(&opened.decoder)?;
            bytes(stream, read, Decoder::default()).await
        }
        // Section 6.2.2: clients have nothing to push.
        PUSH => Err(Fault::Connection(Code::StreamCreationError, "a client cannot push")),
        _ => {
            let _ = stream.stop(Code::StreamCreationError.into());
            Ok(())
        }
    }
}

/// The type that a stream begins with; none where it ends before that, which is no error (section 6.2).
async fn kind(stream: &mut RecvStream, read: &mut Bytes) -> Option<u64> {
    let mut head = BytesMut::new();
    loop {
        if let Some((kind, length)) = frame::integer(&head) {
            *read = head.split_off(length).freeze();
            return Some(kind);
        }
        head.extend_from_slice(&poll_fn(|context| poll_read(stream, context)).await.ok()??);
    }
}

const CLOSED: Fault =
    Fault::Connection(Code::ClosedCriticalStream, "a stream ended that lasts as long as its connection");

/// Reads a stream of QPACK's, which is nothing but bytes.
async fn bytes(mut stream: RecvStream, read: Bytes, mut instructions: impl Instructions) -> Result<(), Fault> {
    instructions.take(&read)?;
    loop {
        match poll_fn(|context| poll_read(&mut stream, context)).await {
            Ok(Some(bytes)) => instructions.take(&bytes)?,
            Ok(None) | Err(quinn::ReadError::Reset(_)) => return Err(CLOSED),
            Err(_) => return Ok(()),
        }
    }
}

trait Instructions {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Fault>;
}

impl<F: FnMut(&[u8]) -> Result<(), Fault>> Instructions for F {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self(bytes)
    }
}

/// RFC 9204, section 4.3.1: to a table of no bytes, nothing can be said but that it has none.
fn encoder(bytes: &[u8]) -> Result<(), Fault> {
    const CAPACITY_ZERO: u8 = 0x20;
    if bytes.iter().all(|byte| *byte == CAPACITY_ZERO) {
        return Ok(());
    }
    Err(Fault::Connection(Code::EncoderStreamError, "an instruction for a table that there is none of"))
}

/// RFC 9204, section 4.4: nothing was inserted, so nothing can be acknowledged; streams can be given up.
#[derive(Debug, Default)]
struct Decoder {
    /// Bytes of an integer that goes on.
    goes_on: Option<u8>,
}

impl Instructions for Decoder {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        const CANCELLATION: u8 = 0x40;
        let refused = Err(Fault::Connection(Code::DecoderStreamError, "a table is acknowledged that there is none of"));
        for byte in bytes {
            self.goes_on = match self.goes_on {
                // A stream has 62 bits at most.
                Some(9..) => return refused,
                Some(count) => (byte & 0x80 != 0).then_some(count + 1),
                None if byte & 0xc0 == CANCELLATION => (byte & 0x3f == 0x3f).then_some(1),
                None => return refused,
            };
        }
        Ok(())
    }
}

/// What a client says on its control stream (RFC 9114, section 7.2).
#[derive(Debug, Default)]
struct Control {
    is_begun: bool,
    goaway: Option<u64>,
    push_max: Option<u64>,
}

impl Control {
    async fn run(mut self, mut reader: Reader) -> Result<(), Fault> {
        loop {
            let is_begun = self.is_begun;
            let next =
                poll_fn(|context| reader.poll_next(context, |kind, length| wanted(kind, length, is_begun))).await;
            match next {
                Ok(Some(Piece::Frame(kind, payload))) => self.take(kind, &payload)?,
                Ok(Some(Piece::Data(_))) => {}
                // A reset looks like a client that leaves, but not to the connection.
                Ok(None) | Err(Fault::Gone) => return Err(CLOSED),
                Err(fault) => return Err(fault),
            }
        }
    }

    fn take(&mut self, kind: u64, payload: &[u8]) -> Result<(), Fault> {
        if kind == frame::SETTINGS {
            self.is_begun = true;
            return settings(payload);
        }
        let refused = Err(Fault::Connection(Code::IdError, "a number is one that it may not be"));
        let Some(number) = frame::only_integer(payload) else {
            return Err(Fault::Connection(Code::FrameError, "a frame is longer or shorter than what is in it"));
        };
        match kind {
            // Section 5.2.
            frame::GOAWAY if self.goaway.replace(number).is_some_and(|before| before < number) => refused,
            // Section 7.2.7.
            frame::MAX_PUSH_ID if self.push_max.replace(number).is_some_and(|before| before > number) => refused,
            // Section 7.2.3: nothing was promised.
            frame::CANCEL_PUSH => refused,
            _ => Ok(()),
        }
    }
}

/// Section 6.2.1: settings first, and once.
fn wanted(kind: u64, length: u64, is_begun: bool) -> Result<Take, Fault> {
    if !is_begun && kind != frame::SETTINGS {
        return Err(Fault::Connection(Code::MissingSettings, "a control stream does not begin with settings"));
    }
    match kind {
        frame::SETTINGS if is_begun => Err(Fault::Connection(Code::FrameUnexpected, "settings are there twice")),
        frame::SETTINGS | frame::GOAWAY | frame::MAX_PUSH_ID | frame::CANCEL_PUSH if length > PAYLOAD_BYTES_MAX => {
            Err(Fault::Connection(Code::ExcessiveLoad, "a frame is longer than any of its type has to be"))
        }
        frame::SETTINGS | frame::GOAWAY | frame::MAX_PUSH_ID | frame::CANCEL_PUSH => Ok(Take::Whole),
        _ if frame::is_known(kind) => {
            Err(Fault::Connection(Code::FrameUnexpected, "a frame has no place on a control stream"))
        }
        _ => Ok(Take::Nothing),
    }
}

/// Section 7.2.4: pairs of integers, each setting once. We need none of them: what we send is never large nor compressed.
fn settings(mut payload: &[u8]) -> Result<(), Fault> {
    let mut seen = Vec::new();
    while !payload.is_empty() {
        let (setting, value, rest) = pair(payload)
            .ok_or(Fault::Connection(Code::FrameError, "settings are longer or shorter than what is in them"))?;
        let is_wrong = HTTP2_SETTINGS.contains(&setting) || (SWITCHES.contains(&setting) && value > 1);
        if is_wrong || seen.contains(&setting) {
            return Err(Fault::Connection(Code::SettingsError, "a setting is none, or there twice"));
        }
        if seen.len() >= SETTINGS_MAX {
            return Err(Fault::Connection(Code::ExcessiveLoad, "more settings than there are"));
        }
        seen.push(setting);
        payload = rest;
    }
    Ok(())
}

/// More than anyone sends; each is compared with all before it.
const SETTINGS_MAX: usize = 64;

fn pair(payload: &[u8]) -> Option<(u64, u64, &[u8])> {
    let (setting, length) = frame::integer(payload)?;
    let payload = payload.get(length..)?;
    let (value, length) = frame::integer(payload)?;
    Some((setting, value, payload.get(length..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_streams_of_qpack_say_nothing_of_a_table() {
        let encoder = |bytes: &[u8]| super::encoder(bytes).is_ok();
        assert!(encoder(&[]) && encoder(&[0x20]) && encoder(&[0x20, 0x20]));
        assert!(!encoder(&[0x3f, 0x01]) && !encoder(&[0x21]) && !encoder(&[0xc0, 0x01, b'a']) && !encoder(&[0x00]));
        for (bytes, fits) in [
            (&[][..], true),
            (&[0x40], true),
            (&[0x7f, 0x80, 0x01, 0x44], true),
            (&[0x80], false),
            (&[0x01], false),
            (&[0x44, 0x00], false),
            (&[0x7f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80], false),
        ] {
            assert_eq!(Decoder::default().take(bytes).is_ok(), fits, "{bytes:x?}");
            let mut decoder = Decoder::default();
            let one_by_one = bytes.iter().try_for_each(|byte| decoder.take(&[*byte]));
            assert_eq!(one_by_one.is_ok(), fits, "{bytes:x?}");
        }
    }

    #[test]
    fn settings_are_pairs_and_each_is_there_once() {
        for (payload, expected) in [
            (&[][..], None),
            (&[0x6, 0x50, 0x00, 0x1, 0x0, 0x7, 0x0], None),
            (&[0x33, 1, 0x8, 0], None),
            (&[0x40, 0x40, 1], None),
            (&[0x6, 1, 0x6, 1], Some(Code::SettingsError)),
            (&[0x2, 1], Some(Code::SettingsError)),
            (&[0x0, 1], Some(Code::SettingsError)),
            (&[0x8, 2], Some(Code::SettingsError)),
            (&[0x6], Some(Code::FrameError)),
            (&[0x6, 0x40], Some(Code::FrameError)),
        ] {
            let found = settings(payload).err();
            let code = |fault: Fault| if let Fault::Connection(code, _) = fault { Some(code) } else { None };
            assert_eq!(found.and_then(code), expected, "{payload:x?}");
        }
    }
}
