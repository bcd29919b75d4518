//! A field block of HTTP/2: a HEADERS frame and the CONTINUATION frames that follow it at once (RFC 9113, section 4.3).

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};

pub(super) const HEADER_BYTES: usize = 9;
pub(super) const HEADERS: u8 = 0x1;
pub(super) const CONTINUATION: u8 = 0x9;

/// Flags (section 6.2).
pub(super) const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// What a frame may have unless we say otherwise, and we do not (section 4.2).
const FRAME_BYTES_MAX: usize = 16 << 10;

/// A block may have so many frames whatever its bytes.
const FRAMES_MIN: usize = 16;

/// How many frames a block may have where heads may have so many bytes: at least as many as whoever parses them takes, which is a
/// quarter more than such a head needs, and two.
pub(super) fn frames_max(header_bytes: usize) -> usize {
    let needed = header_bytes / FRAME_BYTES_MAX;
    (needed + needed / 4 + 2).max(FRAMES_MIN)
}

/// A frame's header (section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Head {
    /// None where not all of it is there.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let [high, middle, low, kind, flags, a, b, c, d] = *bytes.first_chunk::<HEADER_BYTES>()?;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        Some(Self { length, kind, flags, stream: u32::from_be_bytes([a & 0x7f, b, c, d]) })
    }

    fn write(self, into: &mut BytesMut) {
        into.put_uint(u64::try_from(self.length).unwrap_or_default(), 3);
        into.put_u8(self.kind);
        into.put_u8(self.flags);
        into.put_u32(self.stream);
    }
}

/// What bytes that begin with a HEADERS frame have.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    Whole(Block<'a>),
    /// The beginning of a block.
    Incomplete,
    /// Something that the parser refuses.
    Broken,
    /// A block that is not one, which the parser may take for the mistake of a stream alone.
    Cut,
}

/// All of a block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block<'a> {
    pub(super) stream: u32,
    pub(super) ends_stream: bool,
    /// Its priority is one that no stream has: the parser would not read its fields.
    pub(super) depends_on_itself: bool,
    /// The fields as they are coded.
    pub(super) fields: Cow<'a, [u8]>,
    /// Frames, and the bytes of all of them.
    pub(super) frames: usize,
    pub(super) length: usize,
}

/// Looks for the end of a block of at most so many frames.
pub(super) fn find(bytes: &[u8], frames_max: usize) -> Found<'_> {
    let Some(first) = Head::read(bytes) else { return Found::Incomplete };
    let mut block = Block {
        stream: first.stream,
        ends_stream: first.flags & END_STREAM != 0,
        depends_on_itself: false,
        fields: Cow::Borrowed(&[]),
        frames: 0,
        length: 0,
    };
    let mut pieces = Vec::new();
    loop {
        let Some(head) = bytes.get(block.length..).and_then(Head::read) else { return Found::Incomplete };
        let kind = if block.frames == 0 { HEADERS } else { CONTINUATION };
        if head.length > FRAME_BYTES_MAX {
            return Found::Broken;
        }
        if head.kind != kind || head.stream != first.stream {
            return Found::Cut;
        }
        if block.frames >= frames_max {
            return Found::Broken;
        }
        let begin = block.length + HEADER_BYTES;
        let Some(payload) = bytes.get(begin..begin + head.length) else { return Found::Incomplete };
        let parts = if block.frames == 0 { fields(payload, head) } else { Some((payload, false)) };
        let Some((piece, depends_on_itself)) = parts else { return Found::Cut };
        pieces.push(piece);
        block.depends_on_itself |= depends_on_itself;
        block.frames += 1;
        block.length = begin + head.length;
        if head.flags & END_HEADERS != 0 {
            // Put together only now: much may come in little pieces.
            block.fields =
                if let &[piece] = pieces.as_slice() { Cow::Borrowed(piece) } else { Cow::Owned(pieces.concat()) };
            return Found::Whole(block);
        }
    }
}

/// What of a HEADERS frame's payload are fields, neither padding nor a priority, and whether the stream depends on itself.
fn fields(payload: &[u8], head: Head) -> Option<(&[u8], bool)> {
    let (padding, payload) = if head.flags & PADDED != 0 {
        let (padding, payload) = payload.split_first()?;
        (usize::from(*padding), payload)
    } else {
        (0, payload)
    };
    let (depends_on_itself, payload) = if head.flags & PRIORITY != 0 {
        let ([a, b, c, d, _], payload) = payload.split_first_chunk::<5>()?;
        (u32::from_be_bytes([*a & 0x7f, *b, *c, *d]) == head.stream, payload)
    } else {
        (false, payload)
    };
    Some((payload.get(..payload.len().checked_sub(padding)?)?, depends_on_itself))
}

/// Appends a frame that ends the connection with PROTOCOL_ERROR: it goes on with a block that there is none of (section 6.10).
pub(super) fn refuse(into: &mut BytesMut) {
    Head { length: 0, kind: CONTINUATION, flags: 0, stream: 0 }.write(into);
}

/// Appends a block of these fields.
pub(super) fn write(stream: u32, ends_stream: bool, fields: &[u8], into: &mut BytesMut) {
    let mut pieces = fields.chunks(FRAME_BYTES_MAX).peekable();
    let (mut kind, mut flags) = (HEADERS, if ends_stream { END_STREAM } else { 0 });
    while let Some(piece) = pieces.next() {
        let last = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        Head { length: piece.len(), kind, flags: flags | last, stream }.write(into);
        into.extend_from_slice(piece);
        (kind, flags) = (CONTINUATION, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        Head { length: payload.len(), kind, flags, stream }.write(&mut bytes);
        bytes.extend_from_slice(payload);
        bytes.to_vec()
    }

    fn find(bytes: &[u8]) -> Found<'_> {
        super::find(bytes, FRAMES_MIN)
    }

    #[test]
    fn a_block_is_the_fields_of_its_frames() {
        let whole = |fields: &'static [u8], frames, length| {
            let (ends_stream, depends_on_itself) = (true, false);
            Found::Whole(Block { stream: 5, ends_stream, depends_on_itself, fields: fields.into(), frames, length })
        };
        let (one, two) = (frame(HEADERS, END_STREAM, 5, b"ab"), frame(CONTINUATION, END_HEADERS, 5, b"cd"));
        assert_eq!(find(&frame(HEADERS, END_STREAM | END_HEADERS, 5, b"ab")), whole(b"ab", 1, 11));
        assert_eq!(find(&[&one[..], &two].concat()), whole(b"abcd", 2, 22));
        let padded = frame(HEADERS, END_STREAM | END_HEADERS | PADDED | PRIORITY, 5, b"\x0200000ab..");
        assert_eq!(find(&padded), whole(b"ab", 1, padded.len()));
        for cut in 0..22 {
            assert_eq!(find(&[&one[..], &two].concat()[..cut]), Found::Incomplete, "{cut}");
        }
        for cut in [
            [&one[..], &frame(CONTINUATION, END_HEADERS, 7, b"cd")].concat(),
            [&one[..], &frame(0x6, 0, 0, &[0; 8])].concat(),
            frame(HEADERS, END_HEADERS | PADDED, 5, b"\x03ab"),
            frame(HEADERS, END_HEADERS | PRIORITY, 5, b"ab"),
        ] {
            assert_eq!(find(&cut), Found::Cut, "{cut:?}");
        }
        for broken in [
            frame(HEADERS, END_HEADERS, 5, &[0; FRAME_BYTES_MAX + 1]),
            [one, frame(CONTINUATION, 0, 5, b"").repeat(FRAMES_MIN)].concat(),
        ] {
            assert_eq!(find(&broken), Found::Broken, "{broken:?}");
        }
    }

    #[test]
    fn a_block_may_have_the_frames_that_its_bytes_need() {
        for (header_bytes, frames) in [(8 << 10, 16), (64 << 10, 16), (256 << 10, 22), (1 << 20, 82)] {
            assert_eq!(frames_max(header_bytes), frames, "{header_bytes}");
        }
        let mut bytes = BytesMut::new();
        write(9, true, &vec![7; 1 << 20], &mut bytes);
        assert!(matches!(super::find(&bytes, frames_max(1 << 20)), Found::Whole(_)));
    }

    #[test]
    fn what_is_written_is_found() {
        for length in [1, 100, FRAME_BYTES_MAX, FRAME_BYTES_MAX + 1, 3 * FRAME_BYTES_MAX] {
            let fields = vec![7; length];
            let mut bytes = BytesMut::new();
            write(9, true, &fields, &mut bytes);
            let Found::Whole(block) = find(&bytes) else { panic!("{length}") };
            assert!(block.fields == fields && block.ends_stream && block.stream == 9 && block.length == bytes.len());
        }
    }
}
