use bytes::{BufMut, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const METHOD: &str = ":method=GET";
const SCHEME: &str = ":scheme=https";
const AUTHORITY: &str = ":authority=a:1";
const PATH: &str = ":path=/x?y";

/// A section of fields that are all written out.
fn section(fields: &[&str]) -> BytesMut {
    let mut section = BytesMut::from(&[0, 0][..]);
    for field in fields {
        let at = field.chars().skip(1).position(|byte| byte == '=').expect("a field") + 1;
        let (name, value) = (&field[..at], &field[at + 1..]);
        let short = |length: usize| u8::try_from(length).expect("short");
        match short(name.len()) {
            length @ 0..7 => section.put_u8(0x20 | length),
            length => section.put_slice(&[0x27, length - 7]),
        }
        section.put_slice(name.as_bytes());
        section.put_u8(short(value.len()));
        section.put_slice(value.as_bytes());
    }
    section
}

#[test]
fn a_head_is_what_it_says() {
    good(&[METHOD, SCHEME, AUTHORITY, PATH], "GET https://a:1/x?y", None);
    good(&[PATH, AUTHORITY, SCHEME, METHOD, "te=trailers", "x-a=b", "cookie=c"], "GET https://a:1/x?y", None);
    good(&[METHOD, SCHEME, PATH, "host=a", "content-length=12"], "GET /x?y", Some(12));
    good(&[METHOD, SCHEME, AUTHORITY, PATH, "host=A:1"], "GET https://a:1/x?y", None);
    good(&[":method=OPTIONS", SCHEME, AUTHORITY, ":path=*"], "OPTIONS https://a:1*", None);
    good(&[":method=CONNECT", AUTHORITY], "CONNECT a:1", None);
    good(&[":method=PURGE", ":scheme=http", AUTHORITY, ":path=/"], "PURGE http://a:1/", None);
}

#[track_caller]
fn good(fields: &[&str], expected: &str, length: Option<u64>) {
    let (parts, found) = super::request(&section(fields), 1_000).expect("a good head");
    assert_eq!((format!("{} {}", parts.method, parts.uri).as_str(), found), (expected, length));
    assert_eq!(parts.version, Version::HTTP_3);
}

#[test]
fn a_head_that_breaks_a_rule_is_malformed() {
    let with = |field: &'static str| vec![METHOD, SCHEME, AUTHORITY, PATH, field];
    for fields in [
        vec![],
        vec![SCHEME, AUTHORITY, PATH],
        vec![METHOD, AUTHORITY, PATH],
        vec![METHOD, SCHEME, AUTHORITY],
        vec![METHOD, SCHEME, PATH],
        vec![METHOD, METHOD, SCHEME, AUTHORITY, PATH],
        vec![METHOD, SCHEME, SCHEME, AUTHORITY, PATH],
        vec![METHOD, SCHEME, AUTHORITY, AUTHORITY, PATH],
        vec![METHOD, SCHEME, AUTHORITY, PATH, PATH],
        vec![METHOD, SCHEME, AUTHORITY, "x-a=b", PATH],
        vec![":method=", SCHEME, AUTHORITY, PATH],
        vec![":method=G T", SCHEME, AUTHORITY, PATH],
        vec![METHOD, ":scheme=ftp", AUTHORITY, PATH],
        vec![METHOD, ":scheme=", AUTHORITY, PATH],
        vec![METHOD, SCHEME, ":authority=", PATH],
        vec![METHOD, SCHEME, ":authority=u@a", PATH],
        vec![METHOD, SCHEME, ":authority=a b", PATH],
        vec![METHOD, SCHEME, AUTHORITY, ":path="],
        vec![METHOD, SCHEME, AUTHORITY, ":path=x"],
        vec![METHOD, SCHEME, AUTHORITY, ":path=/a b"],
        vec![METHOD, SCHEME, AUTHORITY, ":path=/a#b"],
        vec![METHOD, SCHEME, AUTHORITY, ":path=*"],
        vec![":method=CONNECT", SCHEME, AUTHORITY, PATH],
        vec![":method=CONNECT"],
        with(":status=200"),
        with(":protocol=websocket"),
        vec![":method=CONNECT", SCHEME, AUTHORITY, ":protocol=websocket"],
        vec![":method=CONNECT", AUTHORITY, PATH, ":protocol=websocket"],
        vec![":method=CONNECT", SCHEME, PATH, ":protocol=websocket"],
        vec![":method=CONNECT", SCHEME, AUTHORITY, PATH, ":protocol=a", ":protocol=a"],
        vec![":method=CONNECT", SCHEME, AUTHORITY, PATH, ":protocol=a\nb"],
        vec![":method=CONNECT", SCHEME, AUTHORITY, PATH, ":protocol=a", "content-length=0"],
        vec![":method=CONNECT", AUTHORITY, "content-length=0"],
        with(":unknown=1"),
        with("host=b"),
        with("host="),
        vec![METHOD, SCHEME, PATH, "host=a", "host=a"],
        with("X-Upper=1"),
        with("x a=1"),
        with("x-nul=a\0b"),
        with("x-cr=a\rb"),
        with("x-lf=a\nb"),
        with("x-blank= a"),
        with("x-blank=a\t"),
        with("connection=close"),
        with("keep-alive=1"),
        with("proxy-connection=close"),
        with("transfer-encoding=chunked"),
        with("upgrade=websocket"),
        with("te=gzip"),
        with("content-length=+1"),
        with("content-length="),
        with("content-length=99999999999999999999"),
        vec![METHOD, SCHEME, AUTHORITY, PATH, "content-length=1", "content-length=1"],
    ] {
        let found = super::request(&section(&fields), 1_000);
        assert!(matches!(found, Err(Fault::Stream(Code::MessageError, _))), "{fields:?}: {found:?}");
    }
}

#[test]
fn a_section_has_as_many_bytes_as_it_may() {
    let fields = section(&[METHOD, SCHEME, AUTHORITY, PATH]);
    // 10 + 12 + 13 + 9 bytes and four times 32.
    assert!(super::request(&fields, 172).is_ok());
    assert_eq!(super::request(&fields, 171).map(drop), Err(Fault::TooLarge));
    let coded = super::request(&[0, 0, 0x80], 1_000).map(drop);
    assert!(matches!(coded, Err(Fault::Connection(Code::DecompressionFailed, _))));
}

#[test]
fn trailers_have_no_pseudo_header_fields() {
    assert_eq!(trailers(&section(&["grpc-status=0"]), 1_000).expect("good")["grpc-status"], "0");
    for fields in [&[":path=/"][..], &["X-A=1"], &["a=1", ":status=200"], &["connection=close"]] {
        let found = trailers(&section(fields), 1_000);
        assert!(matches!(found, Err(Fault::Stream(Code::MessageError, _))), "{fields:?}");
    }
}

proptest! {
    /// Sections that begin as they may, so that something of them is read.
    #[test]
    fn any_section_is_a_head_or_refused(bytes in vec(any::<u8>(), 0..300)) {
        let section = [&[0, 0][..], &bytes].concat();
        for section in [&bytes, &section] {
            let _ = super::request(section, 4_096);
            if let Ok(trailers) = trailers(section, 4_096) {
                let bytes: usize = trailers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
                prop_assert!(bytes <= 4_096);
            }
        }
    }
}
