//! Integers with a prefix (RFC 7541, section 5.1).

use bytes::{BufMut, BytesMut};

use super::Malformed;

/// The largest that is taken: RFC 9204, section 4.1.1.
const MAX: u64 = (1 << 62) - 1;

/// The integer in the lower `prefix` bits of the first byte, and what follows it.
///
/// # Errors
/// It does not end, or is longer than 62 bits.
pub(crate) fn decode(bytes: &[u8], prefix: u32) -> Result<(u64, &[u8]), Malformed> {
    let (first, mut rest) = bytes.split_first().ok_or(Malformed)?;
    let mask = (1_u64 << prefix) - 1;
    let mut value = u64::from(*first) & mask;
    if value < mask {
        return Ok((value, rest));
    }
    let mut shift = 0;
    loop {
        let (byte, after) = rest.split_first().ok_or(Malformed)?;
        rest = after;
        // 56 bits of shift leave 63 bits in all, which no sum here can overflow.
        if shift > 56 {
            return Err(Malformed);
        }
        value = value.saturating_add(u64::from(*byte & 0x7f) << shift);
        if value > MAX {
            return Err(Malformed);
        }
        if byte & 0x80 == 0 {
            return Ok((value, rest));
        }
        shift += 7;
    }
}

/// Appends an integer behind the upper bits of its first byte.
pub(crate) fn encode(value: usize, (upper, prefix): (u8, u32), into: &mut BytesMut) {
    let mask = (1_usize << prefix) - 1;
    if value < mask {
        into.put_u8(upper | low_byte(value));
        return;
    }
    into.put_u8(upper | low_byte(mask));
    let mut left = value - mask;
    while left >= 0x80 {
        into.put_u8(0x80 | low_byte(left & 0x7f));
        left >>= 7;
    }
    into.put_u8(low_byte(left));
}

fn low_byte(value: usize) -> u8 {
    u8::try_from(value & 0xff).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_they_are_written() {
        // RFC 7541, appendix C.1.
        check(10, 5, &[0x0a]);
        check(1337, 5, &[0x1f, 0x9a, 0x0a]);
        check(42, 8, &[0x2a]);
        check(7, 3, &[0x07, 0x00]);
        for prefix in 1..=8 {
            for value in [0, 1, 126, 127, 128, 254, 255, 256, 16_383, 16_384, 1 << 20, 1 << 40] {
                let mut bytes = BytesMut::new();
                encode(value, (0, prefix), &mut bytes);
                assert_eq!(decode(&bytes, prefix), Ok((value.try_into().expect("it fits"), &[][..])));
            }
        }
    }

    fn check(value: usize, prefix: u32, expected: &[u8]) {
        let mut bytes = BytesMut::new();
        encode(value, (0, prefix), &mut bytes);
        assert_eq!(bytes[..], *expected);
    }

    #[test]
    fn an_integer_has_an_end_and_62_bits() {
        for bytes in [&[][..], &[0xff], &[0xff, 0x80], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]] {
            assert_eq!(decode(bytes, 8), Err(Malformed), "{bytes:?}");
        }
        let longest = [0xff, 0x80, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f];
        assert_eq!(decode(&longest, 8), Ok((MAX, &[][..])));
        let padded = [0x1f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00];
        assert_eq!(decode(&padded, 5), Err(Malformed));
    }
}
