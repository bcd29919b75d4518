//! What is no HTTP/3, sent as bytes: each with the refusal that RFC 9114 or RFC 9204 has for it.

use std::sync::Arc;

use harness::{Aioquic, Origin, Running};
use serde_json::{Value, json};

use super::site;

/// How a case is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// The connection is closed with this code.
    Closed(u64),
    /// The request's stream is reset with it.
    Reset(u64),
    /// It is answered with this status.
    Answered(u16),
}
use Refused::{Answered, Closed, Reset};

// RFC 9114, section 8.1, and RFC 9204, section 6.
const STREAM_CREATION: u64 = 0x103;
const CLOSED_CRITICAL_STREAM: u64 = 0x104;
const FRAME_UNEXPECTED: u64 = 0x105;
const FRAME: u64 = 0x106;
const EXCESSIVE_LOAD: u64 = 0x107;
const ID: u64 = 0x108;
const SETTINGS: u64 = 0x109;
const MISSING_SETTINGS: u64 = 0x10a;
const REQUEST_INCOMPLETE: u64 = 0x10d;
const MESSAGE: u64 = 0x10e;
const DECOMPRESSION: u64 = 0x200;
const ENCODER_STREAM: u64 = 0x201;
const DECODER_STREAM: u64 = 0x202;

/// The streams of a client: its first request, its first three of its own.
const REQUEST: u64 = 0;
const CONTROL: u64 = 2;
const SECOND: u64 = 6;
const THIRD: u64 = 10;

/// A control stream with settings of nothing.
const GOOD_CONTROL: &[u8] = &[0x00, 0x04, 0x00];

fn integer(value: usize) -> Vec<u8> {
    match value {
        0..0x40 => vec![u8::try_from(value).expect("small")],
        _ => (u32::try_from(value).expect("small") | 0x8000_0000).to_be_bytes().to_vec(),
    }
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    [&[kind][..], &integer(payload.len()), payload].concat()
}

/// Fields that are written out (RFC 9204, section 4.5.6).
fn section(fields: &[(&str, &str)]) -> Vec<u8> {
    let length = |first: u8, prefix: u8, length: usize| {
        let most = (1_usize << prefix) - 1;
        let short = |value: usize| u8::try_from(value).expect("small");
        if length < most {
            return vec![first | short(length)];
        }
        let (mut bytes, mut rest) = (vec![first | short(most)], length - most);
        while rest >= 0x80 {
            bytes.push(0x80 | short(rest & 0x7f));
            rest >>= 7;
        }
        bytes.push(short(rest));
        bytes
    };
    let mut section = vec![0, 0];
    for (name, value) in fields {
        section.extend(length(0x20, 3, name.len()));
        section.extend_from_slice(name.as_bytes());
        section.extend(length(0, 7, value.len()));
        section.extend_from_slice(value.as_bytes());
    }
    section
}

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "https");
const AUTHORITY: (&str, &str) = (":authority", "www.example.test");
const PATH: (&str, &str) = (":path", "/");
const LINE: [(&str, &str); 4] = [METHOD, SCHEME, AUTHORITY, PATH];

fn headers(fields: &[(&str, &str)]) -> Vec<u8> {
    frame(0x1, &section(fields))
}

/// A good request's line, and these.
fn with(fields: &[(&str, &str)]) -> Vec<u8> {
    headers(&[&LINE[..], fields].concat())
}

fn good() -> Vec<u8> {
    headers(&LINE)
}

fn post(length: &str) -> Vec<u8> {
    headers(&[(":method", "POST"), SCHEME, AUTHORITY, PATH, ("content-length", length)])
}

/// One case: what it is, streams with their bytes and whether they end, and how it is refused.
struct Case(&'static str, Vec<(u64, Vec<u8>, bool)>, Refused);

/// On a connection whose control stream is good.
fn request(what: &'static str, bytes: Vec<u8>, refused: Refused) -> Case {
    Case(what, vec![(CONTROL, GOOD_CONTROL.to_vec(), false), (REQUEST, bytes, true)], refused)
}

/// A request that goes on.
fn open(what: &'static str, bytes: Vec<u8>, refused: Refused) -> Case {
    Case(what, vec![(CONTROL, GOOD_CONTROL.to_vec(), false), (REQUEST, bytes, false)], refused)
}

fn control(what: &'static str, bytes: &[u8], refused: Refused) -> Case {
    Case(what, vec![(CONTROL, bytes.to_vec(), false)], refused)
}

/// A second stream of the client's own beside a good control stream.
fn second(what: &'static str, bytes: &[u8], is_over: bool, refused: Refused) -> Case {
    Case(what, vec![(CONTROL, GOOD_CONTROL.to_vec(), false), (SECOND, bytes.to_vec(), is_over)], refused)
}

fn heads() -> Vec<Case> {
    let fields: [(&str, &[(&str, &str)]); 35] = [
        ("no method", &[SCHEME, AUTHORITY, PATH]),
        ("no scheme", &[METHOD, AUTHORITY, PATH]),
        ("no path", &[METHOD, SCHEME, AUTHORITY]),
        ("no authority", &[METHOD, SCHEME, PATH]),
        ("two methods", &[METHOD, METHOD, SCHEME, AUTHORITY, PATH]),
        ("two paths", &[METHOD, SCHEME, AUTHORITY, PATH, (":path", "/admin")]),
        ("two authorities", &[METHOD, SCHEME, AUTHORITY, AUTHORITY, PATH]),
        ("an empty path", &[METHOD, SCHEME, AUTHORITY, (":path", "")]),
        ("an empty authority", &[METHOD, SCHEME, (":authority", ""), PATH]),
        ("a path without a slash", &[METHOD, SCHEME, AUTHORITY, (":path", "x")]),
        ("an asterisk for GET", &[METHOD, SCHEME, AUTHORITY, (":path", "*")]),
        ("white space in a path", &[METHOD, SCHEME, AUTHORITY, (":path", "/a b")]),
        ("a line feed in a path", &[METHOD, SCHEME, AUTHORITY, (":path", "/a\nb")]),
        ("white space in a method", &[(":method", "GET /x"), SCHEME, AUTHORITY, PATH]),
        ("user information", &[METHOD, SCHEME, (":authority", "u@www.example.test"), PATH]),
        ("a pseudo-header field behind others", &[METHOD, SCHEME, AUTHORITY, ("x-a", "b"), PATH]),
        ("a pseudo-header field of answers", &[METHOD, SCHEME, AUTHORITY, PATH, (":status", "200")]),
        ("a pseudo-header field of nobody's", &[METHOD, SCHEME, AUTHORITY, PATH, (":what", "1")]),
        ("a protocol for GET", &[METHOD, SCHEME, AUTHORITY, PATH, (":protocol", "websocket")]),
        ("a protocol without a path", &[(":method", "CONNECT"), SCHEME, AUTHORITY, (":protocol", "websocket")]),
        ("a protocol without a scheme", &[(":method", "CONNECT"), AUTHORITY, PATH, (":protocol", "websocket")]),
        ("a protocol and nobody", &[(":method", "CONNECT"), SCHEME, PATH, (":protocol", "websocket")]),
        (
            "two protocols",
            &[(":method", "CONNECT"), SCHEME, AUTHORITY, PATH, (":protocol", "websocket"), (":protocol", "websocket")],
        ),
        (
            "a tunnel with a length",
            &[(":method", "CONNECT"), SCHEME, AUTHORITY, PATH, (":protocol", "websocket"), ("content-length", "5")],
        ),
        ("CONNECT with a path", &[(":method", "CONNECT"), SCHEME, AUTHORITY, PATH]),
        ("another host", &[METHOD, SCHEME, AUTHORITY, PATH, ("host", "other.example.test")]),
        ("upper case", &[METHOD, SCHEME, AUTHORITY, PATH, ("X-A", "b")]),
        ("a name with a space", &[METHOD, SCHEME, AUTHORITY, PATH, ("x a", "b")]),
        ("a name of nothing", &[METHOD, SCHEME, AUTHORITY, PATH, ("", "b")]),
        ("a line feed in a value", &[METHOD, SCHEME, AUTHORITY, PATH, ("x-a", "b\nc: d")]),
        ("a zero in a value", &[METHOD, SCHEME, AUTHORITY, PATH, ("x-a", "b\0")]),
        ("connection", &[METHOD, SCHEME, AUTHORITY, PATH, ("connection", "close")]),
        ("transfer-encoding", &[METHOD, SCHEME, AUTHORITY, PATH, ("transfer-encoding", "chunked")]),
        ("upgrade", &[METHOD, SCHEME, AUTHORITY, PATH, ("upgrade", "websocket")]),
        ("te", &[METHOD, SCHEME, AUTHORITY, PATH, ("te", "gzip")]),
    ];
    fields.into_iter().map(|(what, fields)| request(what, headers(fields), Reset(MESSAGE))).collect()
}

fn bodies() -> Vec<Case> {
    let data = |bytes: &[u8]| frame(0x0, bytes);
    vec![
        request("less than its length", [post("5"), data(b"abcd")].concat(), Reset(MESSAGE)),
        request("more than its length", [post("3"), data(b"abcd")].concat(), Reset(MESSAGE)),
        request("a length and no body", post("3"), Reset(MESSAGE)),
        request("two lengths", with(&[("content-length", "0"), ("content-length", "0")]), Reset(MESSAGE)),
        request("a length with a sign", post("+3"), Reset(MESSAGE)),
        request("a length without an end", post("99999999999999999999"), Reset(MESSAGE)),
        request("trailers with a path", [post("0"), headers(&[(":path", "/admin")])].concat(), Reset(MESSAGE)),
        request("trailers in upper case", [post("0"), headers(&[("X-A", "b")])].concat(), Reset(MESSAGE)),
        request(
            "a body behind trailers",
            [good(), headers(&[("x-a", "b")]), data(b"a")].concat(),
            Closed(FRAME_UNEXPECTED),
        ),
        request("trailers behind trailers", [good(), headers(&[]), headers(&[])].concat(), Closed(FRAME_UNEXPECTED)),
        request("half a body's frame", [post("5"), vec![0x0, 0x5, b'a', b'b']].concat(), Closed(FRAME)),
        request("half a head's frame", vec![0x1, 0x10, 0, 0], Closed(FRAME)),
        request("half a frame's length", vec![0x1, 0x40], Closed(FRAME)),
        request("nothing", vec![], Reset(REQUEST_INCOMPLETE)),
        request("a frame that means nothing, and nothing else", frame(0x21, b"abc"), Reset(REQUEST_INCOMPLETE)),
        open("a body before a head", data(b"a"), Closed(FRAME_UNEXPECTED)),
        open("settings of a request", frame(0x4, &[]), Closed(FRAME_UNEXPECTED)),
        open("GOAWAY of a request", [good(), frame(0x7, &[0])].concat(), Closed(FRAME_UNEXPECTED)),
        open("a promise", frame(0x5, &[0, 0, 0]), Closed(FRAME_UNEXPECTED)),
        open("MAX_PUSH_ID of a request", frame(0xd, &[0]), Closed(FRAME_UNEXPECTED)),
        open("PRIORITY of HTTP/2", frame(0x2, &[0; 5]), Closed(FRAME_UNEXPECTED)),
        open("PING of HTTP/2", frame(0x6, &[0; 8]), Closed(FRAME_UNEXPECTED)),
        open("CONTINUATION of HTTP/2", frame(0x9, &[0]), Closed(FRAME_UNEXPECTED)),
        request("a head that is too large", with(&[("x-a", &"b".repeat(70_000))]), Answered(431)),
        open("a head of a gigabyte", [&[0x1][..], &0xc000_0000_4000_0000_u64.to_be_bytes()].concat(), Answered(431)),
        request("many small fields", with(&[("a", "b"); 3_000]), Answered(431)),
    ]
}

fn compression() -> Vec<Case> {
    let coded = |bytes: &[u8]| frame(0x1, bytes);
    vec![
        request("a section of nothing", coded(&[]), Closed(DECOMPRESSION)),
        request("half a prefix", coded(&[0]), Closed(DECOMPRESSION)),
        request("a table that is needed", coded(&[2, 0, 0x80]), Closed(DECOMPRESSION)),
        request("a base below nothing", coded(&[0, 0x80, 0xd1]), Closed(DECOMPRESSION)),
        request("a field of no table", coded(&[0, 0, 0x80]), Closed(DECOMPRESSION)),
        request("a name of no table", coded(&[0, 0, 0x40, 1, b'a']), Closed(DECOMPRESSION)),
        request("a field behind the base", coded(&[0, 0, 0x10]), Closed(DECOMPRESSION)),
        request("number 99 of 99", coded(&[0, 0, 0xff, 36]), Closed(DECOMPRESSION)),
        request("a string that is not there", coded(&[0, 0, 0x51, 5, b'a']), Closed(DECOMPRESSION)),
        request("padding that is none", coded(&[0, 0, 0x51, 0x81, 0]), Closed(DECOMPRESSION)),
        request(
            "the end of a string in a string",
            coded(&[0, 0, 0x51, 0x84, 0xff, 0xff, 0xff, 0xff]),
            Closed(DECOMPRESSION),
        ),
        request("an integer without an end", coded(&[&[0, 0][..], &[0xff; 12]].concat()), Closed(DECOMPRESSION)),
        request("trailers of no table", [good(), coded(&[0, 0, 0x80])].concat(), Closed(DECOMPRESSION)),
        second("an entry for no table", &[0x02, 0xc0, 1, b'a'], false, Closed(ENCODER_STREAM)),
        second("a capacity for no table", &[0x02, 0x3f, 0x01], false, Closed(ENCODER_STREAM)),
        second("a section that needed nothing", &[0x03, 0x80], false, Closed(DECODER_STREAM)),
        second("entries that were never sent", &[0x03, 0x01], false, Closed(DECODER_STREAM)),
        second("an encoder that ends", &[0x02], true, Closed(CLOSED_CRITICAL_STREAM)),
        second("a decoder that ends", &[0x03], true, Closed(CLOSED_CRITICAL_STREAM)),
        Case("two encoders", vec![(CONTROL, vec![0x02], false), (SECOND, vec![0x02], false)], Closed(STREAM_CREATION)),
    ]
}

fn controls() -> Vec<Case> {
    let then = |bytes: &[u8]| [GOOD_CONTROL, bytes].concat();
    vec![
        control("no settings", &[0x00, 0x07, 0x01, 0x00], Closed(MISSING_SETTINGS)),
        control("something else before settings", &[0x00, 0x21, 0x00], Closed(MISSING_SETTINGS)),
        control("settings twice", &then(&[0x04, 0x00]), Closed(FRAME_UNEXPECTED)),
        control("one setting twice", &[0x00, 0x04, 0x04, 0x06, 1, 0x06, 1], Closed(SETTINGS)),
        control("a setting of HTTP/2", &[0x00, 0x04, 0x02, 0x03, 1], Closed(SETTINGS)),
        control("a switch with three places", &[0x00, 0x04, 0x02, 0x08, 2], Closed(SETTINGS)),
        control("half a setting", &[0x00, 0x04, 0x01, 0x06], Closed(FRAME)),
        control("settings without an end", &[0x00, 0x04, 0x80, 0x01, 0x00, 0x00], Closed(EXCESSIVE_LOAD)),
        control("a body", &then(&frame(0x0, b"a")), Closed(FRAME_UNEXPECTED)),
        control("a head", &then(&good()), Closed(FRAME_UNEXPECTED)),
        control("a promise", &then(&frame(0x5, &[0, 0])), Closed(FRAME_UNEXPECTED)),
        control("WINDOW_UPDATE of HTTP/2", &then(&frame(0x8, &[0; 4])), Closed(FRAME_UNEXPECTED)),
        control("GOAWAY that grows", &then(&[0x07, 1, 4, 0x07, 1, 8]), Closed(ID)),
        control("MAX_PUSH_ID that shrinks", &then(&[0x0d, 1, 4, 0x0d, 1, 3]), Closed(ID)),
        control("nothing is given up", &then(&[0x03, 1, 0]), Closed(ID)),
        control("GOAWAY that is too long", &then(&[0x07, 2, 0, 0]), Closed(FRAME)),
        control("GOAWAY of nothing", &then(&[0x07, 0]), Closed(FRAME)),
        second("two control streams", GOOD_CONTROL, false, Closed(STREAM_CREATION)),
        second("a push", &[0x01, 0x00], false, Closed(STREAM_CREATION)),
        Case(
            "a control stream that ends",
            vec![(CONTROL, GOOD_CONTROL.to_vec(), true)],
            Closed(CLOSED_CRITICAL_STREAM),
        ),
    ]
}

/// What is unusual, and no mistake.
fn unusual() -> Vec<Case> {
    vec![
        request("frames that mean nothing", [frame(0x21, &[0; 900]), good(), frame(0x21, &[])].concat(), Answered(200)),
        request("a frame of WebTransport", [frame(0x29, b"a"), good()].concat(), Answered(200)),
        request(
            "a body of nothing",
            [post("3"), frame(0x0, b""), frame(0x0, b"abc"), frame(0x0, b"")].concat(),
            Answered(200),
        ),
        request(
            "trailers and then what means nothing",
            [good(), headers(&[("x-a", "b")]), frame(0x21, b"a")].concat(),
            Answered(200),
        ),
        request("CONNECT", headers(&[(":method", "CONNECT"), (":authority", "www.example.test:443")]), Answered(501)),
        request(
            "OPTIONS of everything",
            headers(&[(":method", "OPTIONS"), SCHEME, AUTHORITY, (":path", "*")]),
            Answered(200),
        ),
        Case(
            "streams that mean nothing, and one that ends before it means anything",
            vec![
                (CONTROL, [GOOD_CONTROL, &frame(0x21, &[0; 5_000])].concat(), false),
                (SECOND, vec![0x21, 1, 2, 3], true),
                (THIRD, vec![0x40], true),
                (REQUEST, good(), true),
            ],
            Answered(200),
        ),
        Case("a request before the control stream", vec![(REQUEST, good(), true)], Answered(200)),
        Case(
            "the streams of QPACK say what they may",
            vec![(SECOND, vec![0x02, 0x20], false), (THIRD, vec![0x03, 0x44], false), (REQUEST, good(), true)],
            Answered(200),
        ),
    ]
}

#[tokio::test]
async fn what_is_no_http_3_is_refused_as_the_rfc_says() {
    let site = site().origin(Origin::echo()).start().await;
    let program = Arc::new(Aioquic::start());
    let cases = [heads(), bodies(), compression(), controls(), unusual()];
    let mut differences = Vec::new();
    let mut refused = 0;
    for Case(what, streams, expected) in cases.into_iter().flatten() {
        let found = send(&site, &program, &streams).await;
        refused += usize::from(!matches!(expected, Answered(..400)));
        if found.0 != Some(expected) {
            differences.push(format!("{what}: expected {expected:x?}, found {:x?}: {}", found.0, found.1));
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
    assert!(refused >= 90, "{refused} cases");
    // Nothing that was refused for its head went on.
    assert!(site.origin(0).seen().iter().all(|seen| seen.target != "/admin"));
    assert_eq!(program.connect(&site).await.get("/").await.status, 200, "others are served");
    site.idle().await;
}

async fn send(site: &Running, program: &Arc<Aioquic>, streams: &[(u64, Vec<u8>, bool)]) -> (Option<Refused>, Value) {
    let client = program.connect_with(site, json!({ "raw": true })).await;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let streams = streams
        .iter()
        .map(|(stream, bytes, is_over)| json!({ "stream": stream, "bytes": hex(bytes), "fin": is_over }))
        .collect::<Vec<_>>();
    let told = client.tell(json!({ "do": "bytes", "streams": streams })).await;
    let found = if let Some(code) = told.pointer("/closed/code").and_then(Value::as_u64) {
        Some(Closed(code))
    } else if let Some(code) = told.get("reset").and_then(Value::as_u64) {
        Some(Reset(code))
    } else {
        told.get("data").and_then(Value::as_str).and_then(status).map(Answered)
    };
    client.tell(json!({ "do": "close" })).await;
    (found, told)
}

/// The status of an answer as our host codes it: a number of QPACK's own, or three digits.
fn status(data: &str) -> Option<u16> {
    // The head's frame has five bytes before its section, and that has two before the first field.
    let field = data.get(14..)?;
    match field.get(..2)? {
        "d9" => Some(200),
        "5f" => {
            let digits = field.get(6..12)?;
            let digit = |at: usize| digits.get(at..at + 2).and_then(|pair| u16::from_str_radix(pair, 16).ok());
            Some((digit(0)? - 48) * 100 + (digit(2)? - 48) * 10 + digit(4)? - 48)
        }
        _ => None,
    }
}
