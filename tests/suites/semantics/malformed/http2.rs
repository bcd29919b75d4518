//! HTTP/2 (RFC 9113), sent frame by frame.

use std::time::Duration;

use harness::http2::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PREFACE, PUSH_PROMISE, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, fields, frame,
};
use harness::{Http, Origin, Raw, Running, Site};

/// Header fields, in order.
type Fields = &'static [(&'static str, &'static str)];

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "https");
const PATH: (&str, &str) = (":path", "/");
const AUTHORITY: (&str, &str) = (":authority", "a");

/// Requests without a body that are malformed (RFC 9113, section 8.1.1), and what becomes of each.
const REQUESTS: &[(Fields, &str)] = &[
    // Section 8.3: pseudo-header fields.
    (&[SCHEME, PATH, AUTHORITY], "reset 1"),
    (&[METHOD, PATH, AUTHORITY], "reset 1"),
    (&[METHOD, SCHEME, AUTHORITY], "reset 1"),
    (&[METHOD, SCHEME, (":path", ""), AUTHORITY], "reset 1"),
    (&[(":method", ""), SCHEME, PATH, AUTHORITY], "reset 1"),
    (&[METHOD, METHOD, SCHEME, PATH, AUTHORITY], "reset 1"),
    (&[METHOD, SCHEME, SCHEME, PATH, AUTHORITY], "reset 1"),
    (&[METHOD, SCHEME, PATH, PATH, AUTHORITY], "reset 1"),
    (&[METHOD, SCHEME, PATH, AUTHORITY, AUTHORITY], "reset 1"),
    (&[METHOD, SCHEME, PATH, ("x", "1"), AUTHORITY], "reset 1"),
    (&[METHOD, SCHEME, PATH, AUTHORITY, (":other", "1")], "reset 1"),
    (&[METHOD, SCHEME, PATH, AUTHORITY, (":status", "200")], "reset 1"),
    (&[METHOD, SCHEME, PATH, AUTHORITY, (":protocol", "websocket")], "reset 1"),
    // RFC 8441, section 4.
    (&[(":method", "CONNECT"), SCHEME, AUTHORITY, (":protocol", "websocket")], "reset 1"),
    (&[(":method", "CONNECT"), PATH, AUTHORITY, (":protocol", "websocket")], "reset 1"),
    (&[(":method", "CONNECT"), SCHEME, PATH, (":protocol", "websocket")], "400"),
    (&[(":method", "CONNECT"), SCHEME, PATH, AUTHORITY, (":protocol", "")], "501"),
    (&[(":method", "CONNECT"), SCHEME, PATH, AUTHORITY, (":protocol", "a, websocket")], "501"),
    (&[(":method", "CONNECT"), SCHEME, PATH, AUTHORITY, (":protocol", "h2c")], "501"),
    (&[(":method", "CONNECT"), (":scheme", "http"), PATH, AUTHORITY, (":protocol", "websocket")], "400"),
    (&[(":method", "CONNECT"), SCHEME, PATH, AUTHORITY], "reset 1"),
    (&[(":method", "CONNECT"), (":authority", "a:443")], "501"),
    (&[(":method", "G T"), SCHEME, PATH, AUTHORITY], "reset 1"),
    (&[(":method", "GET / HTTP/1.1\r\nx: y\r\n"), SCHEME, PATH, AUTHORITY], "reset 1"),
    (&[METHOD, SCHEME, (":path", "/a#b"), AUTHORITY], "reset 1"),
    (&[METHOD, (":scheme", "ht tp"), PATH, AUTHORITY], "reset 1"),
    (&[METHOD, (":scheme", "http"), PATH, AUTHORITY], "400"),
    (&[METHOD, (":scheme", "ftp"), PATH, AUTHORITY], "400"),
    (&[METHOD, SCHEME, (":path", "a"), AUTHORITY], "reset 1"),
    (&[METHOD, SCHEME, (":path", "*"), AUTHORITY], "400"),
    (&[METHOD, SCHEME, (":path", "http://b/"), AUTHORITY], "reset 1"),
    (&[METHOD, SCHEME, (":path", "/a b"), AUTHORITY], "reset 1"),
    (&[METHOD, SCHEME, (":path", "/ HTTP/1.1\r\nx: y"), AUTHORITY], "reset 1"),
    (&[METHOD, SCHEME, (":path", "/\0"), AUTHORITY], "reset 1"),
    // Sections 8.3.1 and 8.2: who is asked.
    (&[METHOD, SCHEME, PATH], "400"),
    (&[METHOD, SCHEME, PATH, (":authority", "")], "reset 1"),
    (&[METHOD, SCHEME, PATH, (":authority", "u@a")], "400"),
    (&[METHOD, SCHEME, PATH, (":authority", "a/b")], "reset 1"),
    (&[METHOD, SCHEME, PATH, (":authority", "a b")], "reset 1"),
    (&[METHOD, SCHEME, PATH, (":authority", "a:b")], "400"),
    (&[METHOD, SCHEME, PATH, AUTHORITY, ("host", "b")], "400"),
    (&[METHOD, SCHEME, PATH, AUTHORITY, ("host", "a"), ("host", "a")], "400"),
    // Section 8.2: field names and values.
    (&[METHOD, SCHEME, PATH, AUTHORITY, ("X", "1")], "reset 1"),
    (&[METHOD, SCHEME, PATH, AUTHORITY, ("x y", "1")], "reset 1"),
    (&[METHOD, SCHEME, PATH, AUTHORITY, ("x:", "1")], "reset 1"),
    (&[METHOD, SCHEME, PATH, AUTHORITY, ("x\r\ny", "1")], "reset 1"),
    (&[METHOD, SCHEME, PATH, AUTHORITY, ("", "1")], "reset 1"),
    (&[METHOD, SCHEME, PATH, AUTHORITY, ("x", "a\nb")], "reset 1"),
    (&[METHOD, SCHEME, PATH, AUTHORITY, ("x", "a\rb")], "reset 1"),
    (&[METHOD, SCHEME, PATH, AUTHORITY, ("x", "a\0b")], "reset 1"),
    (&[METHOD, SCHEME, PATH, AUTHORITY, ("x", "1\r\ntransfer-encoding: chunked")], "reset 1"),
    (&[METHOD, SCHEME, PATH, AUTHORITY, ("x", " a")], "400"),
    (&[METHOD, SCHEME, PATH, AUTHORITY, ("x", "a\t")], "400"),
    // Section 8.2.2: fields of one connection.
    (&[METHOD, SCHEME, PATH, AUTHORITY, ("connection", "close")], "reset 1"),
    (&[METHOD, SCHEME, PATH, AUTHORITY, ("connection", "x"), ("x", "1")], "reset 1"),
    (&[METHOD, SCHEME, PATH, AUTHORITY, ("keep-alive", "timeout=1")], "reset 1"),
    (&[METHOD, SCHEME, PATH, AUTHORITY, ("proxy-connection", "close")], "reset 1"),
    (&[METHOD, SCHEME, PATH, AUTHORITY, ("transfer-encoding", "chunked")], "reset 1"),
    (&[METHOD, SCHEME, PATH, AUTHORITY, ("upgrade", "websocket")], "reset 1"),
    (&[METHOD, SCHEME, PATH, AUTHORITY, ("te", "gzip")], "reset 1"),
    // Section 8.1.1: a length that does not hold.
    (&[METHOD, SCHEME, PATH, AUTHORITY, ("content-length", "5")], "reset 1"),
    (&[METHOD, SCHEME, PATH, AUTHORITY, ("content-length", "+0")], "reset 1"),
    (&[METHOD, SCHEME, PATH, AUTHORITY, ("content-length", "0"), ("content-length", "1")], "reset 1"),
];

#[tokio::test]
async fn requests() {
    let block = |list: Fields| frame(HEADERS, END_STREAM | END_HEADERS, 1, &fields(list));
    check(REQUESTS.iter().map(|(list, expected)| (format!("{list:?}"), vec![block(list)], *expected))).await;
}

/// A good head whose body follows.
fn open() -> Vec<u8> {
    frame(HEADERS, END_HEADERS, 1, &fields(&[(":method", "POST"), SCHEME, PATH, AUTHORITY, ("content-length", "5")]))
}

#[tokio::test]
async fn bodies_and_trailers() {
    let trailers = |flags, list: Fields| frame(HEADERS, END_HEADERS | flags, 1, &fields(list));
    let data = |flags, bytes: &[u8]| frame(DATA, flags, 1, bytes);
    check(
        [
            ("too short", vec![open(), data(END_STREAM, b"hell")], "reset 1"),
            ("too long", vec![open(), data(END_STREAM, b"hello!")], "reset 1"),
            ("too long, later", vec![open(), data(0, b"hello"), data(END_STREAM, b"!")], "reset 1"),
            ("no end", vec![open(), data(0, b"hello"), trailers(0, &[("x", "1")])], "reset 1"),
            ("capitals", vec![open(), data(0, b"hello"), trailers(END_STREAM, &[("X", "1")])], "reset 1"),
            ("a path", vec![open(), data(0, b"hello"), trailers(END_STREAM, &[PATH])], "reset 1"),
            ("a status", vec![open(), data(0, b"hello"), trailers(END_STREAM, &[(":status", "200")])], "reset 1"),
        ]
        .map(|(about, frames, expected)| (about.to_owned(), frames, expected)),
    )
    .await;
}

#[tokio::test]
async fn frames() {
    let get = || frame(HEADERS, END_STREAM | END_HEADERS, 1, &fields(&[METHOD, SCHEME, PATH, AUTHORITY]));
    check(
        [
            ("DATA on no stream (6.1)", vec![frame(DATA, 0, 0, b"x")], "goaway 1"),
            ("DATA on an idle stream (5.1)", vec![frame(DATA, 0, 1, b"x")], "goaway 1"),
            ("padding longer than DATA (6.1)", vec![open(), frame(DATA, PADDED, 1, &[9, 0])], "goaway 1"),
            ("HEADERS on no stream (6.2)", vec![frame(HEADERS, END_STREAM | END_HEADERS, 0, b"")], "goaway 1"),
            (
                "HEADERS on a server's stream (5.1.1)",
                vec![frame(HEADERS, END_STREAM | END_HEADERS, 2, b"")],
                "goaway 1",
            ),
            (
                "an index of no field (RFC 7541, 2.3.3)",
                vec![frame(HEADERS, END_HEADERS, 1, &[0xff, 0x80, 0x7f])],
                "goaway 9",
            ),
            (
                "a table beyond what it may be (RFC 7541, 6.3)",
                vec![frame(HEADERS, END_HEADERS, 1, &[0x3f, 0xe2, 0x1f, 0x82])],
                "goaway 9",
            ),
            (
                "half a field (RFC 7541, 5.2)",
                vec![frame(HEADERS, END_HEADERS, 1, &[0x82, 0x00, 0x05, b'x'])],
                "goaway 9",
            ),
            (
                "another frame within a block (6.10)",
                vec![frame(HEADERS, 0, 1, &fields(&[METHOD])), frame(PING, 0, 0, &[0; 8])],
                "goaway 1",
            ),
            ("CONTINUATION of nothing (6.10)", vec![frame(CONTINUATION, END_HEADERS, 1, b"")], "goaway 1"),
            ("RST_STREAM of an idle stream (6.4)", vec![frame(RST_STREAM, 0, 1, &[0; 4])], "goaway 1"),
            ("RST_STREAM of no stream (6.4)", vec![frame(RST_STREAM, 0, 0, &[0; 4])], "goaway 1"),
            ("a short RST_STREAM (6.4)", vec![open(), frame(RST_STREAM, 0, 1, &[0; 3])], "goaway 6"),
            (
                "a stream's number that was passed (5.1.1)",
                vec![
                    frame(HEADERS, END_STREAM | END_HEADERS, 3, &fields(&[METHOD, SCHEME, (":path", "*"), AUTHORITY])),
                    get(),
                ],
                "goaway 1",
            ),
        ]
        .map(|(about, frames, expected)| (about.to_owned(), frames, expected)),
    )
    .await;
}

#[tokio::test]
async fn frames_of_the_connection() {
    let settings = |id: u16, value: u32| frame(SETTINGS, 0, 0, &[&id.to_be_bytes()[..], &value.to_be_bytes()].concat());
    check(
        [
            ("SETTINGS of a stream (6.5)", vec![frame(SETTINGS, 0, 1, b"")], "goaway 1"),
            ("SETTINGS of five bytes (6.5)", vec![frame(SETTINGS, 0, 0, &[0; 5])], "goaway 6"),
            ("an ACK that says something (6.5)", vec![frame(SETTINGS, ACK, 0, &[0; 6])], "goaway 6"),
            ("too large a window (6.5.2)", vec![settings(4, 1 << 31)], "goaway 3"),
            ("too small a frame size (6.5.2)", vec![settings(5, 1)], "goaway 1"),
            ("ENABLE_PUSH of two (6.5.2)", vec![settings(2, 2)], "goaway 1"),
            (
                "PUSH_PROMISE of a client (8.4)",
                vec![open(), frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2])],
                "goaway 1",
            ),
            ("a PING of seven bytes (6.7)", vec![frame(PING, 0, 0, &[0; 7])], "goaway 6"),
            ("a PING of a stream (6.7)", vec![frame(PING, 0, 1, &[0; 8])], "goaway 1"),
            ("GOAWAY of a stream (6.8)", vec![frame(GOAWAY, 0, 1, &[0; 8])], "goaway 1"),
            ("WINDOW_UPDATE by nothing (6.9)", vec![frame(WINDOW_UPDATE, 0, 0, &[0; 4])], "goaway 1"),
            ("WINDOW_UPDATE of three bytes (6.9)", vec![frame(WINDOW_UPDATE, 0, 0, &[0; 3])], "goaway 6"),
            (
                "a window beyond its maximum (6.9.1)",
                vec![frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff])],
                "goaway 3",
            ),
            ("a frame beyond the maximum (4.2)", vec![frame(DATA, 0, 1, &[0; (16 << 10) + 1])], "goaway 6"),
        ]
        .map(|(about, frames, expected)| (about.to_owned(), frames, expected)),
    )
    .await;
}

/// A malformed request ends its stream: those before and after it are answered, and the table of fields is as the client has it.
#[tokio::test]
async fn a_malformed_request_is_alone() {
    let site = Site::new().origin(Origin::echo()).start().await;
    let mut raw = site.raw(Http::H2).await;
    let head = fields(&[METHOD, SCHEME, PATH, AUTHORITY]);
    // Kept in the table: the first two as the fields 63 and 62, and then the second of a name that is none.
    let kept = b"\x40\x03x-a\x01b\x40\x03X-B\x01c";
    let block = |stream, more: &[u8]| frame(HEADERS, END_STREAM | END_HEADERS, stream, &[&head[..], more].concat());
    raw.send(PREFACE).await;
    raw.send([block(1, b""), block(3, kept), block(5, b"\xbf"), block(7, b"\xbe"), block(9, b"")].concat()).await;
    let (mut answers, mut resets) = (0, Vec::new());
    while answers + resets.len() < 5 {
        let header = raw.read_exactly(9).await.expect("a frame");
        let length = usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2]);
        let payload = raw.read_exactly(length).await.expect("a payload");
        match header[3] {
            HEADERS => answers += 1,
            RST_STREAM => resets.push((header[8], payload[3])),
            GOAWAY => panic!("{payload:?}"),
            _ => {}
        }
    }
    resets.sort_unstable();
    assert_eq!((answers, resets), (3, vec![(3, 1), (7, 1)]));
    let seen = site.origin(0).seen();
    let fields: Vec<_> = seen.iter().flat_map(|seen| seen.values("x-a")).collect();
    assert_eq!(fields, ["b"], "of the fifth stream");
}

/// Each of these frames on a connection of its own has this answer first, and no origin sees a whole request.
async fn check(cases: impl IntoIterator<Item = (String, Vec<Vec<u8>>, &'static str)>) {
    let site = Site::new().origin(Origin::echo()).start().await;
    let mut wrong = Vec::new();
    let mut count = 0;
    for (about, frames, expected) in cases {
        let found = answer(&site, &frames).await;
        if found != expected {
            wrong.push(format!("{about}: {found}, not {expected}"));
        }
        count += 1;
    }
    assert!(wrong.is_empty() && count > 0, "{}", wrong.join("\n"));
    site.idle().await;
    let whole = site.origin(0).seen().into_iter().filter(|seen| seen.body_bytes.is_some()).collect::<Vec<_>>();
    assert!(whole.is_empty(), "{whole:?}");
}

/// The first of these that comes: a status, `reset` with a code, `goaway` with a code, `end`.
async fn answer(site: &Running, frames: &[Vec<u8>]) -> String {
    let mut raw = site.raw(Http::H2).await;
    raw.send(PREFACE).await;
    raw.send(frames.concat()).await;
    let first = tokio::time::timeout(Duration::from_secs(5), first(&mut raw)).await;
    first.unwrap_or_else(|_| "nothing".to_owned())
}

async fn first(raw: &mut Raw) -> String {
    loop {
        let Some(header) = raw.read_exactly(9).await else { return "end".to_owned() };
        let [high, middle, low, kind, ..] = header[..] else { return "end".to_owned() };
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        let Some(payload) = raw.read_exactly(length).await else { return "end".to_owned() };
        let code = |at: usize| {
            payload.get(at..at + 4).map_or(0, |code| code.iter().fold(0, |all, byte| all << 8 | u32::from(*byte)))
        };
        match kind {
            HEADERS => return status(&payload).to_string(),
            RST_STREAM => return format!("reset {}", code(0)),
            GOAWAY if code(4) != 0 => return format!("goaway {}", code(4)),
            _ => {}
        }
    }
}

/// The status that a block begins with: of the static table, or three digits in its Huffman code (RFC 7541, appendices A and B).
fn status(block: &[u8]) -> u16 {
    match block {
        [0x88, ..] => 200,
        [0x89, ..] => 204,
        [0x8c, ..] => 400,
        [0x8d, ..] => 404,
        [0x8e, ..] => 500,
        [0x48 | 0x08, length, digits @ ..] if length & 0x80 != 0 => {
            let mut bits = digits.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
            let mut number = 0;
            for _ in 0..3 {
                let mut take =
                    |count: u8| (0..count).fold(0, |code, _| code << 1 | u16::from(bits.next().unwrap_or(1)));
                let five = take(5);
                // 0, 1 and 2 have five bits; 3 to 9 have six.
                number = number * 10 + if five < 3 { five } else { (five << 1 | take(1)) - 0b01_1001 + 3 };
            }
            number
        }
        _ => 0,
    }
}
