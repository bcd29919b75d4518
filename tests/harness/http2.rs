//! HTTP/2 byte by byte (RFC 9113, RFC 7541), for what no client of a library would send.

/// What a client begins with (RFC 9113, section 3.4), and an empty SETTINGS.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Kinds of frames (RFC 9113, section 6).
pub const DATA: u8 = 0;
/// Fields of a message.
pub const HEADERS: u8 = 1;
/// What nobody goes by any more.
pub const PRIORITY: u8 = 2;
/// The end of a stream.
pub const RST_STREAM: u8 = 3;
/// Of a connection.
pub const SETTINGS: u8 = 4;
/// Of a server alone.
pub const PUSH_PROMISE: u8 = 5;
/// To be answered.
pub const PING: u8 = 6;
/// The end of a connection.
pub const GOAWAY: u8 = 7;
/// Room for more.
pub const WINDOW_UPDATE: u8 = 8;
/// More fields.
pub const CONTINUATION: u8 = 9;

/// Flags: the last frame of a stream,
pub const END_STREAM: u8 = 1;
/// an answer,
pub const ACK: u8 = 1;
/// the last fields,
pub const END_HEADERS: u8 = 4;
/// and padding.
pub const PADDED: u8 = 8;

/// A frame (section 4.1).
///
/// # Panics
/// It is too long for a frame.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Fields as literals without an index and without Huffman (RFC 7541, section 6.2.2).
///
/// # Panics
/// A name or a value has more than 127 bytes.
#[must_use]
pub fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| {
        let length = u8::try_from(text.len()).ok().filter(|length| *length < 128).expect("a short text");
        [&[length][..], text.as_bytes()].concat()
    };
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

/// The frames of a request without a body.
#[must_use]
pub fn get(stream: u32, path: &str) -> Vec<u8> {
    let head = [(":method", "GET"), (":scheme", "https"), (":path", path), (":authority", crate::HOST)];
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &fields(&head))
}
