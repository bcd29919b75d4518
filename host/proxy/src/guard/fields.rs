//! The fields of an HTTP/2 client as HPACK codes them (RFC 7541): looked at before the parser sees them, because it knows one kind
//! of mistake where RFC 9113 has three.
//!
//! What cannot be decoded ends the connection with COMPRESSION_ERROR (section 4.3). What can, and is no field that a message may
//! have, is malformed and ends its stream alone (section 8.1.1): of such a block the parser is given another one, which leaves its
//! table as the client believes it to be, and which it refuses in the right way. Every other block passes as it came.
//!
//! The table is kept here without the fields' bytes: their lengths are what it goes by, and of what they are it is enough to know
//! whether a message may have them.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::{BufMut, BytesMut};

use crate::http3::qpack::{Malformed, integer, string};

/// SETTINGS_HEADER_TABLE_SIZE, of which we say nothing (RFC 9113, section 6.5.2), and what an entry counts beside its bytes (RFC
/// 7541, section 4.1).
const TABLE_BYTES_MAX: usize = 4_096;
const ENTRY_OVERHEAD_BYTES: usize = 32;

/// What is kept of a buffer from one block to the next.
const KEPT_BYTES_MAX: usize = 32 << 10;

/// A field that no message over HTTP/2 may have (RFC 9113, section 8.2.2): `te: x`.
const REFUSED: &[u8] = b"\x00\x02te\x01x";

/// Which part of a message a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Head,
    Trailers,
    /// Either, of a stream that is refused whatever its fields are.
    Refused,
}

/// What the client's encoder and we know of the blocks before.
#[derive(Debug)]
pub(super) struct Decoder {
    /// The newest first.
    table: VecDeque<Entry>,
    bytes: usize,
    bytes_max: usize,
    name: BytesMut,
    value: BytesMut,
}

/// A field of a table.
#[derive(Debug, Clone, Copy)]
struct Entry {
    name: Name,
    name_bytes: usize,
    bytes: usize,
    /// A message may have it.
    is_good: bool,
}

/// What a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Field,
    Method,
    Path,
    /// Of answers.
    Status,
    /// Another one of a request.
    Pseudo,
    /// None.
    None,
}

/// What is wrong with a block, if anything is.
#[derive(Debug)]
struct Wrong {
    is_any: bool,
    unreadable: Vec<Unreadable>,
}

/// What the parser could not read of a block.
#[derive(Debug)]
struct Unreadable {
    place: Range<usize>,
    /// The lengths of the name and the value that its table would have.
    kept: Option<(usize, usize)>,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self {
            table: VecDeque::new(),
            bytes: 0,
            bytes_max: TABLE_BYTES_MAX,
            name: BytesMut::new(),
            value: BytesMut::new(),
        }
    }

    /// Reads a block. Where it is malformed, what to give to the parser instead.
    ///
    /// # Errors
    /// It cannot be decoded.
    pub(super) fn read(&mut self, block: &[u8], part: Part) -> Result<Option<BytesMut>, Malformed> {
        let mut wrong = Wrong { is_any: part == Part::Refused, unreadable: Vec::new() };
        let (mut rest, mut may_resize) = (block, true);
        while let Some(first) = rest.first() {
            if first & 0xe0 == 0x20 {
                // RFC 7541, section 4.2: only before all fields.
                let (size, after) = integer::decode(rest, 5)?;
                let size = usize::try_from(size).ok().filter(|size| may_resize && *size <= TABLE_BYTES_MAX);
                self.bytes_max = size.ok_or(Malformed)?;
                self.evict(0);
                rest = after;
                continue;
            }
            may_resize = false;
            let begin = block.len() - rest.len();
            rest = if first & 0x80 != 0 {
                let (index, after) = integer::decode(rest, 7)?;
                let Entry { name, is_good, .. } = self.entry(index)?;
                wrong.is_any |= !is_good || !name.belongs(part);
                after
            } else {
                let is_kept = first & 0x40 != 0;
                let (mut entry, is_readable, after) = self.literal(rest, if is_kept { 6 } else { 4 })?;
                wrong.is_any |= !entry.is_good || !entry.name.belongs(part);
                if !is_readable {
                    let lengths = (entry.name_bytes, entry.bytes - entry.name_bytes);
                    let place = begin..block.len() - after.len();
                    wrong.unreadable.push(Unreadable { place, kept: is_kept.then_some(lengths) });
                    // The parser's table has another name in its place.
                    entry.name = Name::None;
                }
                if is_kept {
                    self.insert(entry);
                }
                after
            };
        }
        for buffer in [&mut self.name, &mut self.value] {
            if buffer.capacity() > KEPT_BYTES_MAX {
                *buffer = BytesMut::new();
            }
        }
        if wrong.is_any { refused(block, &wrong.unreadable).map(Some) } else { Ok(None) }
    }

    /// A field that is written out, whether the parser can read it, and what follows it (RFC 7541, section 6.2).
    fn literal<'a>(&mut self, bytes: &'a [u8], prefix: u32) -> Result<(Entry, bool, &'a [u8]), Malformed> {
        let (index, mut rest) = integer::decode(bytes, prefix)?;
        let (name, name_bytes) = if index == 0 {
            self.name.clear();
            rest = string(rest, (0x80, 7), &mut self.name)?;
            (Name::of(&self.name), self.name.len())
        } else {
            let entry = self.entry(index)?;
            (entry.name, entry.name_bytes)
        };
        self.value.clear();
        rest = string(rest, (0x80, 7), &mut self.value)?;
        // A name of the table that is none is one to the parser, which was given another.
        let is_name = name != Name::None || index != 0;
        let is_readable = is_name && name.can_have(&self.value);
        let is_good = is_readable && name.may_have(&self.value);
        Ok((Entry { name, name_bytes, bytes: name_bytes + self.value.len(), is_good }, is_readable, rest))
    }

    /// RFC 7541, section 2.3.3.
    fn entry(&self, index: u64) -> Result<Entry, Malformed> {
        let index = usize::try_from(index).ok().and_then(|index| index.checked_sub(1)).ok_or(Malformed)?;
        if let Some(name) = STATIC.get(index) {
            let bytes = name.len();
            return Ok(Entry { name: Name::of(name.as_bytes()), name_bytes: bytes, bytes, is_good: true });
        }
        self.table.get(index - STATIC.len()).copied().ok_or(Malformed)
    }

    /// RFC 7541, section 4.4.
    fn insert(&mut self, entry: Entry) {
        let bytes = entry.bytes + ENTRY_OVERHEAD_BYTES;
        self.evict(bytes);
        if bytes <= self.bytes_max {
            self.bytes += bytes;
            self.table.push_front(entry);
        }
    }

    /// Makes room for so many bytes.
    fn evict(&mut self, bytes: usize) {
        while self.bytes + bytes > self.bytes_max {
            let Some(oldest) = self.table.pop_back() else { return };
            self.bytes -= oldest.bytes + ENTRY_OVERHEAD_BYTES;
        }
    }
}

impl Name {
    /// RFC 9113, sections 8.2.1, 8.3 and 8.3.1, and RFC 8441, section 4.
    fn of(name: &[u8]) -> Self {
        match name {
            b":method" => Self::Method,
            b":path" => Self::Path,
            b":status" => Self::Status,
            b":scheme" | b":authority" | b":protocol" => Self::Pseudo,
            name if !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.iter().all(is_of_name) => Self::Field,
            _ => Self::None,
        }
    }

    fn belongs(self, part: Part) -> bool {
        match self {
            Self::Field => true,
            Self::Method | Self::Path | Self::Pseudo => part == Part::Head,
            Self::Status | Self::None => false,
        }
    }

    /// Whether the parser can read this value.
    fn can_have(self, value: &[u8]) -> bool {
        match self {
            // RFC 9113, section 8.2.1, and no other control characters either.
            Self::Field | Self::None => value.iter().all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f)),
            Self::Method => !value.is_empty() && value.iter().all(is_of_token),
            Self::Status => matches!(value, [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9']),
            Self::Path | Self::Pseudo => std::str::from_utf8(value).is_ok(),
        }
    }

    /// Whether a message may, which the parser does not ask: a target has no fragment (RFC 9113, section 8.3.1).
    fn may_have(self, value: &[u8]) -> bool {
        self != Self::None && (self != Self::Path || !value.contains(&b'#'))
    }
}

/// What the parser takes.
const NAME_BYTES_MAX: usize = (64 << 10) - 1;

/// RFC 9110, section 5.6.2.
fn is_of_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

fn is_of_name(byte: &u8) -> bool {
    is_of_token(byte) && !byte.is_ascii_uppercase()
}

/// The block without what cannot be read, and with a field for which it is refused.
///
/// # Errors
/// There is a field of no bytes at all that the table would have, which nothing that can be read is like; or names of the table are
/// repeated so often that what is written out grows far beyond the block.
fn refused(block: &[u8], unreadable: &[Unreadable]) -> Result<BytesMut, Malformed> {
    let (mut instead, mut at) = (BytesMut::with_capacity(block.len() + REFUSED.len()), 0);
    let bytes_max = 2 * block.len() + 4 * TABLE_BYTES_MAX;
    for Unreadable { place, kept } in unreadable {
        instead.extend_from_slice(block.get(at..place.start).unwrap_or_default());
        at = place.end;
        if let Some((name, value)) = *kept {
            let (name, value) = if name == 0 { (1, value.checked_sub(1).ok_or(Malformed)?) } else { (name, value) };
            if instead.len() + name + value > bytes_max {
                return Err(Malformed);
            }
            instead.put_u8(0x40);
            for length in [name, value] {
                integer::encode(length, (0, 7), &mut instead);
                instead.put_bytes(b'x', length);
            }
        }
    }
    instead.extend_from_slice(block.get(at..).unwrap_or_default());
    instead.extend_from_slice(REFUSED);
    Ok(instead)
}

/// The names of RFC 7541, appendix A.
#[rustfmt::skip]
const STATIC: [&str; 61] = [
    ":authority", ":method", ":method", ":path", ":path", ":scheme", ":scheme", ":status", ":status", ":status",
    ":status", ":status", ":status", ":status", "accept-charset", "accept-encoding", "accept-language",
    "accept-ranges", "accept", "access-control-allow-origin", "age", "allow", "authorization", "cache-control",
    "content-disposition", "content-encoding", "content-language", "content-length", "content-location",
    "content-range", "content-type", "cookie", "date", "etag", "expect", "expires", "from", "host", "if-match",
    "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "last-modified", "link", "location",
    "max-forwards", "proxy-authenticate", "proxy-authorization", "range", "referer", "refresh", "retry-after",
    "server", "set-cookie", "strict-transport-security", "transfer-encoding", "user-agent", "vary", "via",
    "www-authenticate",
];

#[cfg(test)]
mod tests;
