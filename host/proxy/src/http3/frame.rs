//! The types of frames, and the integers that they begin with (RFC 9114, section 7; RFC 9000, section 16).

use bytes::{BufMut, BytesMut};

pub(super) const DATA: u64 = 0x0;
pub(super) const HEADERS: u64 = 0x1;
pub(super) const CANCEL_PUSH: u64 = 0x3;
pub(super) const SETTINGS: u64 = 0x4;
pub(super) const PUSH_PROMISE: u64 = 0x5;
pub(super) const GOAWAY: u64 = 0x7;
pub(super) const MAX_PUSH_ID: u64 = 0xd;
/// PRIORITY, PING, WINDOW_UPDATE and CONTINUATION of HTTP/2, which no frame of HTTP/3 may be (section 7.2.8).
const HTTP2: [u64; 4] = [0x2, 0x6, 0x8, 0x9];

/// Whether a type means anything at all; all others are skipped (section 9).
pub(super) fn is_known(kind: u64) -> bool {
    matches!(kind, DATA | HEADERS | CANCEL_PUSH | SETTINGS | PUSH_PROMISE | GOAWAY | MAX_PUSH_ID)
        || HTTP2.contains(&kind)
}

/// The integer that stands first, and how many bytes it has; none where some of them are missing.
pub(super) fn integer(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = bytes.first()?;
    let length = 1_usize << (first >> 6);
    let rest = bytes.get(1..length)?;
    let value = rest.iter().fold(u64::from(first & 0x3f), |value, byte| value << 8 | u64::from(*byte));
    Some((value, length))
}

/// All of the integers that these bytes are; none where they are something else.
pub(super) fn only_integer(bytes: &[u8]) -> Option<u64> {
    integer(bytes).filter(|(_, length)| *length == bytes.len()).map(|(value, _)| value)
}

/// Appends an integer of at most 62 bits, in as few bytes as it fits.
pub(super) fn put_integer(value: u64, into: &mut BytesMut) {
    match value {
        0..0x40 => into.put_uint(value, 1),
        0x40..0x4000 => into.put_uint(value | 0x4000, 2),
        0x4000..0x4000_0000 => into.put_uint(value | 0x8000_0000, 4),
        _ => into.put_u64(value | 0xc000_0000_0000_0000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_they_are_written() {
        // RFC 9000, appendix A.1.
        check(151_288_809_941_952_652, &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c]);
        check(494_878_333, &[0x9d, 0x7f, 0x3e, 0x7d]);
        check(15_293, &[0x7b, 0xbd]);
        check(37, &[0x25]);
        check(0, &[0]);
        check(63, &[63]);
        check(64, &[0x40, 64]);
        check(16_384, &[0x80, 0, 0x40, 0]);
        check(1 << 30, &[0xc0, 0, 0, 0, 0x40, 0, 0, 0]);
        assert_eq!(integer(&[0x40, 0x25, 1]), Some((37, 2)), "not in the fewest bytes");
        assert_eq!((integer(&[]), integer(&[0x40]), only_integer(&[1, 2])), (None, None, None));
    }

    fn check(value: u64, bytes: &[u8]) {
        assert_eq!(integer(bytes), Some((value, bytes.len())));
        assert_eq!(only_integer(bytes), Some(value));
        let mut written = BytesMut::new();
        put_integer(value, &mut written);
        assert_eq!(written[..], *bytes);
    }
}
