//! Strings in the code of RFC 7541, appendix B, become bytes.
//!
//! The code is canonical: codes of one length follow each other, and each is less than every longer one. So the lengths with
//! the first code of each, and the symbols in order, are the whole table.

use bytes::{BufMut, BytesMut};

use super::Malformed;

/// Appends what `coded` stands for.
///
/// # Errors
/// It has the end-of-string symbol in it, or ends with anything but up to seven bits of it.
pub(super) fn decode(coded: &[u8], into: &mut BytesMut) -> Result<(), Malformed> {
    // The bits that are not decoded yet are the upper `held` ones.
    let (mut bits, mut held, mut coded) = (0_u64, 0_u32, coded.iter());
    loop {
        while held <= 56 {
            let Some(byte) = coded.next() else { break };
            bits |= u64::from(*byte) << (56 - held);
            held += 8;
        }
        let window = u32::try_from(bits >> 32).unwrap_or(u32::MAX);
        match symbol(window) {
            Some((symbol, length)) if length <= held => {
                into.put_u8(symbol);
                bits <<= length;
                held -= length;
            }
            // What is left is padding: the first bits of the end-of-string symbol, which are ones.
            _ => {
                let is_padding = held < 8 && bits == !(u64::MAX.checked_shr(held).unwrap_or(0));
                return if is_padding { Ok(()) } else { Err(Malformed) };
            }
        }
    }
}

/// The symbol whose code these bits begin with, and how long that is; none for the end of a string.
fn symbol(window: u32) -> Option<(u8, u32)> {
    // Most symbols that are in use have the shortest codes.
    let (length, first, index, _) = LENGTHS.iter().find(|(_, _, _, end)| window < *end)?;
    let place = (window >> (32 - length)).checked_sub(*first)?;
    let symbol = SYMBOLS.get(index + usize::try_from(place).ok()?)?;
    Some((*symbol, *length))
}

/// By length: the first code, the place of its symbol, and the end of the codes of this length as the upper bits of a word.
/// The last of the longest codes is the end of a string, and no symbol.
const LENGTHS: [(u32, u32, usize, u32); 21] = [
    (5, 0x0, 0, 0x50000000),
    (6, 0x14, 10, 0xb8000000),
    (7, 0x5c, 36, 0xf8000000),
    (8, 0xf8, 68, 0xfe000000),
    (10, 0x3f8, 74, 0xff400000),
    (11, 0x7fa, 79, 0xffa00000),
    (12, 0xffa, 82, 0xffc00000),
    (13, 0x1ff8, 84, 0xfff00000),
    (14, 0x3ffc, 90, 0xfff80000),
    (15, 0x7ffc, 92, 0xfffe0000),
    (19, 0x7fff0, 95, 0xfffe6000),
    (20, 0xfffe6, 98, 0xfffee000),
    (21, 0x1fffdc, 106, 0xffff4800),
    (22, 0x3fffd2, 119, 0xffffb000),
    (23, 0x7fffd8, 145, 0xffffea00),
    (24, 0xffffea, 174, 0xfffff600),
    (25, 0x1ffffec, 186, 0xfffff800),
    (26, 0x3ffffe0, 190, 0xfffffbc0),
    (27, 0x7ffffde, 205, 0xfffffe20),
    (28, 0xfffffe2, 224, 0xfffffff0),
    (30, 0x3ffffffc, 253, 0xfffffffc),
];

/// In the order of their codes.
#[rustfmt::skip]
const SYMBOLS: [u8; 256] = [
    48, 49, 50, 97, 99, 101, 105, 111, 115, 116, 32, 37, 45, 46, 47, 51, 52, 53, 54, 55, 56, 57, 61, 65, 95, 98, 100,
    102, 103, 104, 108, 109, 110, 112, 114, 117, 58, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81,
    82, 83, 84, 85, 86, 87, 89, 106, 107, 113, 118, 119, 120, 121, 122, 38, 42, 44, 59, 88, 90, 33, 34, 40, 41, 63,
    39, 43, 124, 35, 62, 0, 36, 64, 91, 93, 126, 94, 125, 60, 96, 123, 92, 195, 208, 128, 130, 131, 162, 184, 194,
    224, 226, 153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230, 129, 132, 133, 134, 136, 146, 154, 156,
    160, 163, 164, 169, 170, 173, 178, 181, 185, 186, 187, 189, 190, 196, 198, 228, 232, 233, 1, 135, 137, 138, 139,
    140, 141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166, 168, 174, 175, 180, 182, 183, 188, 191, 197, 231,
    239, 9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237, 199, 207, 234, 235, 192, 193, 200, 201, 202, 205,
    210, 213, 218, 219, 238, 240, 242, 243, 255, 203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248,
    250, 251, 252, 253, 254, 2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29,
    30, 31, 127, 220, 249, 10, 13, 22,
];

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn strings_are_what_the_appendix_says() {
        // RFC 7541, appendix C.4 and C.6.
        check("f1e3c2e5f23a6ba0ab90f4ff", Ok("www.example.com"));
        check("a8eb10649cbf", Ok("no-cache"));
        check("25a849e95ba97d7f", Ok("custom-key"));
        check("25a849e95bb8e8b4bf", Ok("custom-value"));
        check("6402", Ok("302"));
        check("aec3771a4b", Ok("private"));
        check("d07abe941054d444a8200595040b8166e082a62d1bff", Ok("Mon, 21 Oct 2013 20:13:21 GMT"));
        check("", Ok(""));
        // A whole byte of padding, padding that is not ones, the end of a string, and half a code.
        check("a8eb10649cbfff", Err(Malformed));
        check("00", Err(Malformed));
        check("ffffffff", Err(Malformed));
        check("ff", Err(Malformed));
        check("fffffe", Err(Malformed));
    }

    fn check(coded: &str, expected: Result<&str, Malformed>) {
        let byte = |at: usize| u8::from_str_radix(&coded[at..at + 2], 16).expect("a byte");
        let coded: Vec<u8> = (0..coded.len()).step_by(2).map(byte).collect();
        let mut found = BytesMut::new();
        let result = decode(&coded, &mut found).map(|()| String::from_utf8(found.to_vec()).expect("text"));
        assert_eq!(result.as_deref().map_err(|_| Malformed), expected);
    }

    #[test]
    fn every_byte_has_a_code() {
        let codes = |(length, first, index, _): (u32, u32, usize, u32), next: usize| {
            (index..next).map(move |place| (place, first + u32::try_from(place - index).expect("small"), length))
        };
        let mut seen = [false; 256];
        for (at, entry) in LENGTHS.into_iter().enumerate() {
            let next = LENGTHS.get(at + 1).map_or(256, |next| next.2);
            for (place, code, length) in codes(entry, next) {
                let word = (u64::from(code) << (64 - length)) | (u64::MAX >> length);
                let mut found = BytesMut::new();
                let bytes = usize::try_from(length.div_ceil(8)).expect("small");
                assert_eq!(decode(&word.to_be_bytes()[..bytes], &mut found), Ok(()), "{place}");
                assert_eq!(found[..], [SYMBOLS[place]]);
                seen[usize::from(SYMBOLS[place])] = true;
            }
        }
        assert!(seen.iter().all(|seen| *seen));
    }

    proptest! {
        /// Each text has one code: what is decoded of any bytes is never coded in another way.
        #[test]
        fn any_bytes_are_a_string_or_none(coded in vec(any::<u8>(), 0..60)) {
            let mut found = BytesMut::new();
            if decode(&coded, &mut found).is_ok() {
                prop_assert_eq!(encoded(&found), coded);
            }
        }

        #[test]
        fn any_string_is_read_as_it_is_written(text in vec(any::<u8>(), 0..60)) {
            let mut found = BytesMut::new();
            prop_assert_eq!(decode(&encoded(&text), &mut found), Ok(()));
            prop_assert_eq!(&found[..], &text[..]);
        }
    }

    fn encoded(text: &[u8]) -> Vec<u8> {
        let mut bits = Vec::new();
        for byte in text {
            let place = SYMBOLS.iter().position(|symbol| symbol == byte).expect("every byte has one");
            let (length, first, index, _) =
                *LENGTHS.iter().rfind(|(_, _, index, _)| *index <= place).expect("a length");
            let code = first + u32::try_from(place - index).expect("small");
            bits.extend((0..length).rev().map(|bit| code >> bit & 1));
        }
        bits.resize(bits.len().next_multiple_of(8), 1);
        let byte = |bits: &[u32]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::try_from(*bit).expect("a bit"));
        bits.chunks(8).map(byte).collect()
    }
}
