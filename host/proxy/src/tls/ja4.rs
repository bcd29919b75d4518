//! JA4: a ClientHello goes in, the name of the kind of client that sends such ones comes out.
//!
//! As FoxIO's description of JA4 has it. What a client puts in at random (GREASE, RFC 8701) and the order of its extensions
//! count for nothing.

use sha2::{Digest, Sha256};

use crate::tls::hello::{ALPN, Hello, SERVER_NAME};

/// What a ClientHello came over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    Tcp,
    Quic,
}

/// The fingerprint of a client.
pub(super) fn ja4(hello: &Hello, carrier: Carrier) -> String {
    let carrier = match carrier {
        Carrier::Tcp => 't',
        Carrier::Quic => 'q',
    };
    let (suites, extensions) = (sound(&hello.cipher_suites), sound(&hello.extensions));
    let name = if extensions.contains(&SERVER_NAME) { 'd' } else { 'i' };
    let (first, last) = alpn(hello.alpn.as_deref());
    let about = format!(
        "{carrier}{}{name}{:02}{:02}{first}{last}",
        version(hello),
        suites.len().min(COUNT_MAX),
        extensions.len().min(COUNT_MAX)
    );
    let named = extensions.into_iter().filter(|kind| ![SERVER_NAME, ALPN].contains(kind)).collect();
    let mut kinds = sorted(named);
    if !hello.signature_algorithms.is_empty() {
        kinds = format!("{kinds}_{}", written(&sound(&hello.signature_algorithms)));
    }
    let extensions = if hello.extensions.is_empty() { String::new() } else { kinds };
    format!("{about}_{}_{}", digest(&sorted(suites)), digest(&extensions))
}

/// Two digits.
const COUNT_MAX: usize = 99;

fn sound(numbers: &[u16]) -> Vec<u16> {
    let is_grease = |number: &u16| number & 0x0f0f == 0x0a0a && number >> 8 == number & 0xff;
    numbers.iter().filter(|number| !is_grease(number)).copied().collect()
}

/// The newest that is offered.
fn version(hello: &Hello) -> &'static str {
    match sound(&hello.supported_versions).into_iter().max().unwrap_or(hello.legacy_version) {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        _ => "00",
    }
}

/// The first and the last letter of a protocol's name, or of its bytes in hexadecimal where one of these is no letter.
fn alpn(protocol: Option<&[u8]>) -> (char, char) {
    let Some((first, last)) = protocol.and_then(|name| Some((*name.first()?, *name.last()?))) else {
        return ('0', '0');
    };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return (char::from(first), char::from(last));
    }
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or('0');
    (digit(first >> 4), digit(last & 0xf))
}

fn sorted(mut numbers: Vec<u16>) -> String {
    numbers.sort_unstable();
    written(&numbers)
}

fn written(numbers: &[u16]) -> String {
    numbers.iter().map(|number| format!("{number:04x}")).collect::<Vec<_>>().join(",")
}

/// The first twelve digits of the SHA-256; zeros of nothing.
fn digest(text: &str) -> String {
    if text.is_empty() {
        return "000000000000".to_owned();
    }
    Sha256::digest(text).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::hello::tests::{message, records};
    use crate::tls::hello::{Peeked, peek};

    /// Of Chrome, as the description of JA4 has it, and as browserleaks.com shows those of later ones.
    const CHROME: &str = "1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035";
    const CHROME_SIGNS: &str = "0403,0804,0401,0503,0805,0501,0806,0601";

    #[test]
    fn published_fingerprints_are_found() {
        let described = "001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015";
        check(CHROME, described, CHROME_SIGNS, "t13d1516h2_8daaf6152771_e5627efa2ab1");
        let later = "002d,0033,0010,fe0d,0017,44cd,0000,000b,000a,002b,ff01,0023,0012,0005,000d,001b";
        check(CHROME, later, CHROME_SIGNS, "t13d1516h2_8daaf6152771_d8a2da3f94cd");
        let other = "fe0d,0033,ff01,0017,001b,000a,0000,0010,0005,002b,002d,0012,000b,44cd,000d,0023";
        check(CHROME, other, CHROME_SIGNS, "t13d1516h2_8daaf6152771_d8a2da3f94cd");
    }

    #[test]
    fn what_is_random_counts_for_nothing() {
        let extensions = "dada,001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015,2a2a";
        let (suites, signs) = (format!("fafa,{CHROME}"), format!("0a0a,{CHROME_SIGNS}"));
        check(&suites, extensions, &signs, "t13d1516h2_8daaf6152771_e5627efa2ab1");
    }

    #[test]
    fn the_first_part_says_what_was_offered() {
        for (hello, expected) in [
            (Hello::default(), "t00i000000_000000000000_000000000000"),
            (Hello { legacy_version: 0x0301, ..Hello::default() }, "t10i000000_000000000000_000000000000"),
            (Hello { legacy_version: 0x0303, cipher_suites: vec![1; 120], ..Hello::default() }, "t12i990000_"),
            (
                Hello { supported_versions: vec![0x7a7a, 0x0303], extensions: vec![0], ..Hello::default() },
                "t12d000100_",
            ),
            (Hello { alpn: Some(b"http/1.1".to_vec()), ..Hello::default() }, "t00i0000h1_"),
            (Hello { alpn: Some(b"x".to_vec()), ..Hello::default() }, "t00i0000xx_"),
            (Hello { alpn: Some(vec![0xab, 0xcd]), ..Hello::default() }, "t00i0000ad_"),
            (Hello { alpn: Some(Vec::new()), ..Hello::default() }, "t00i000000_"),
        ] {
            let found = ja4(&hello, Carrier::Tcp);
            assert!(found.starts_with(expected), "{hello:?}: {found}");
            assert_eq!(ja4(&hello, Carrier::Quic).split_at(1), ("q", &found[1..]));
        }
    }

    #[track_caller]
    fn check(suites: &str, extensions: &str, signs: &str, expected: &str) {
        let numbers = |text: &str| -> Vec<u16> {
            text.split(',').map(|number| u16::from_str_radix(number, 16).expect("a number")).collect()
        };
        let wide = |numbers: Vec<u16>| -> Vec<u8> { numbers.into_iter().flat_map(u16::to_be_bytes).collect() };
        let data = |kind: u16| match kind {
            13 => {
                let signs = wide(numbers(signs));
                [&u16::try_from(signs.len()).expect("short").to_be_bytes()[..], &signs].concat()
            }
            16 => vec![0, 3, 2, b'h', b'2'],
            43 => vec![6, 0x1a, 0x1a, 3, 4, 3, 3],
            _ => vec![1, 2, 3],
        };
        let extensions: Vec<_> = numbers(extensions).into_iter().map(|kind| (kind, data(kind))).collect();
        let bytes = records(&message(0x0303, &numbers(suites), &extensions), 50);
        let Peeked::Whole(hello) = peek(&bytes) else { panic!("no ClientHello") };
        assert_eq!(ja4(&hello, Carrier::Tcp), expected);
    }
}
