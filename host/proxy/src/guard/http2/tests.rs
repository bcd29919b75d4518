use proptest::collection::vec;
use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

use super::*;

fn guard(now: Instant) -> Http2Guard {
    Http2Guard::new(&ListenerLimits::default(), now)
}

fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
    let [_, high, middle, low] = u32::try_from(length).expect("a length").to_be_bytes();
    // A block of this byte is the method of a request, over and over.
    let payload = if kind == HEADERS { 0x82 } else { 0 };
    [&[high, middle, low, kind, flags, 0, 0, 0, 1][..], &vec![payload; length]].concat()
}

/// What is found of bytes that come in pieces of this size, and what would be read in their place.
fn check(guard: &mut Http2Guard, bytes: &[u8], size: usize, now: Instant) -> Result<Vec<u8>, Fault> {
    let (mut held, mut read) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(size) {
        held.extend_from_slice(piece);
        let mut instead = BytesMut::new();
        let Passed { as_is, looked } = guard.check(&held, &mut instead, || now)?;
        read.extend_from_slice(&held[..as_is]);
        read.extend_from_slice(&instead);
        held.drain(..looked);
    }
    read.extend_from_slice(&held);
    Ok(read)
}

/// How many rounds of these frames are taken in one moment, up to 100,000.
fn rounds(frames: &[Vec<u8>], written: usize) -> usize {
    let now = Instant::now();
    let mut guard = guard(now);
    assert!(check(&mut guard, &[0; PREFACE_BYTES], 9, now).is_ok());
    let round = frames.concat();
    (0..100_000)
        .find(|_| {
            let checked = guard.check(&round, &mut BytesMut::new(), || now);
            if written > 0 {
                guard.wrote(written);
            }
            checked.is_err()
        })
        .unwrap_or(100_000)
}

#[test]
fn floods_are_cut_and_use_is_not() {
    let (head, reset) = (frame(1, 4, 40), frame(3, 0, 4));
    // What a client floods with, whether it is answered with so many bytes, and how often it may.
    for (frames, written, limit) in [
        (vec![frame(4, 0, 0)], 9, 500),
        (vec![frame(4, 0, 60)], 9, 500),
        (vec![frame(6, 0, 8)], 17, 2_000),
        (vec![frame(2, 0, 5)], 0, 4_000),
        (vec![frame(8, 0, 4)], 0, 4_000),
        (vec![frame(9, 0, 0)], 0, 4_000),
        (vec![frame(0, 0, 0)], 0, 2_000),
        (vec![frame(0xbb, 0, 100)], 0, 4_000),
        (vec![head.clone(), reset.clone()], 0, 700),
        (vec![head.clone(), reset.clone()], 13, 1_000),
    ] {
        let taken = rounds(&frames, written);
        assert!(taken > limit / 4 && taken <= limit, "{taken} of {:?}", frames.first());
    }
    for (frames, written) in [
        // Requests without a body, answered.
        (vec![head.clone()], 30),
        // Uploads in small pieces.
        (vec![frame(0, 0, 1)], 0),
        // A download whose every piece is followed by updates of both windows.
        (vec![frame(8, 0, 4), frame(8, 0, 4)], 1_000),
        // A hundred streams of small events in one write, each followed by updates of both windows.
        ((0..200).map(|_| frame(8, 0, 4)).collect(), 100 * 69),
        // Requests with an empty end.
        (vec![head, frame(0, 1, 0)], 30),
    ] {
        let rounds = rounds(&frames, written);
        assert_eq!(rounds, 100_000, "{:?}", frames.first());
    }
}

#[test]
fn lengths_and_windows_that_cannot_be_are_faults() {
    for (kind, flags, payload, fault) in [
        (2, 0, &[0; 4][..], Some(Fault::FrameSize)),
        (3, 0, &[0; 5], Some(Fault::FrameSize)),
        (4, 0, &[0; 7], Some(Fault::FrameSize)),
        (4, 1, &[0; 6], Some(Fault::FrameSize)),
        (6, 0, &[0; 9], Some(Fault::FrameSize)),
        (7, 0, &[0; 7], Some(Fault::FrameSize)),
        (8, 0, &[0; 3], Some(Fault::FrameSize)),
        (4, 0, &[0, 3, 0xff, 0xff, 0xff, 0xff, 0, 4, 0x80, 0, 0, 0], Some(Fault::Window)),
        (4, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff], None),
    ] {
        let mut guard = guard(Instant::now());
        let mut bytes = [vec![0; PREFACE_BYTES], frame(kind, flags, payload.len())].concat();
        bytes.truncate(PREFACE_BYTES + HEADER_BYTES);
        bytes.extend_from_slice(payload);
        let found = check(&mut guard, &bytes, 5, Instant::now()).err();
        assert_eq!(found, fault, "{kind} {payload:?}");
    }
}

#[test]
fn frames_are_found_however_they_are_cut_and_time_gives_credit() {
    let now = Instant::now();
    let bytes = [vec![0; PREFACE_BYTES], frame(4, 0, 12), frame(0, 0, 700), frame(6, 0, 8)].concat();
    for size in [1, 7, 9, 50, bytes.len()] {
        let mut guard = guard(now);
        assert_eq!(check(&mut guard, &bytes, size, now), Ok(bytes.clone()));
        assert_eq!((guard.credit, guard.skip, guard.settings), (4_000 - 13, 0, 0), "{size}");
    }
    let mut guard = guard(now);
    guard.skip = 0;
    guard.credit = 0;
    assert_eq!(check(&mut guard, &frame(6, 0, 8), 17, now), Err(Fault::Flood));
    guard.skip = 0;
    assert!(check(&mut guard, &frame(6, 0, 8), 17, now + Duration::from_secs(1)).is_ok());
    assert_eq!(guard.credit, 200 - 4);
}

#[test]
fn what_is_malformed_is_given_to_the_parser_as_something_that_it_refuses() {
    let head = |stream: u32, flags, fields: &[u8]| {
        let mut bytes = BytesMut::new();
        block::write(stream, flags == END_STREAM, fields, &mut bytes);
        bytes.to_vec()
    };
    let (good, capital) = (b"\x82\x87\x84\x41\x01a", b"\x82\x87\x84\x41\x01a\x00\x01X\x011");
    let refused = b"\x82\x87\x84\x41\x01a\x00\x02te\x01x";
    let ping = frame(6, 0, 8);
    let preface = [0; PREFACE_BYTES];
    let bytes = |fields: &[u8]| {
        // Another stream's trailers have a path, and a third is a good request.
        let open = [head(3, 0, good), head(3, END_STREAM, b"\x84")].concat();
        [&preface[..], &ping, &head(1, END_STREAM, fields), &ping, &open, &head(5, END_STREAM, good), &ping].concat()
    };
    let trailers = head(3, END_STREAM, b"\x84\x00\x02te\x01x");
    let open = [head(3, 0, good), trailers].concat();
    let parts = [&preface[..], &ping, &head(1, END_STREAM, refused), &ping, &open, &head(5, END_STREAM, good), &ping];
    for size in [1, 5, 9, 10, 30, 1_000] {
        let mut guard = guard(Instant::now());
        let read = check(&mut guard, &bytes(capital), size, Instant::now());
        assert_eq!(read, Ok(parts.concat()), "{size}");
        assert!(guard.open.is_empty());
    }
    let mut guard = guard(Instant::now());
    assert_eq!(check(&mut guard, &bytes(b"\x80"), 100, Instant::now()), Err(Fault::Compression));
}

/// HEADERS of stream 1 with these flags.
fn headers(flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = frame(HEADERS, flags, payload.len());
    bytes.truncate(HEADER_BYTES);
    bytes.extend_from_slice(payload);
    bytes
}

#[test]
fn a_head_that_depends_on_itself_is_refused_and_its_fields_are_read() {
    let now = Instant::now();
    let preface = [0; PREFACE_BYTES];
    // With END_STREAM, END_HEADERS and PRIORITY.
    let head = |dependency: &[u8]| headers(0x25, &[dependency, b"\x82\x87\x84\x41\x01a\x40\x01y\x011"].concat());
    let mut refused = BytesMut::new();
    block::write(1, true, b"\x82\x87\x84\x41\x01a\x40\x01y\x011\x00\x02te\x01x", &mut refused);
    for (dependency, expected) in [
        (b"\0\0\0\x01\x10", refused.to_vec()),
        (b"\x80\0\0\x01\x10", refused.to_vec()),
        (b"\0\0\0\x03\x10", head(b"\0\0\0\x03\x10")),
    ] {
        // The next one refers to the field that the first has put into the table.
        let next = headers(0x5, b"\x82\x87\x84\xbe");
        let bytes = [&preface[..], &head(dependency), &next].concat();
        let read = check(&mut guard(now), &bytes, 7, now);
        assert_eq!(read, Ok([&preface[..], &expected, &next].concat()), "{dependency:?}");
    }
}

#[tokio::test]
async fn a_block_that_is_none_ends_the_connection() {
    let now = Instant::now();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for cut in [
        // It depends on itself, and has more padding than bytes, or does not end.
        headers(0x2d, b"\xff\0\0\0\x01\x10\x82\x87\x84"),
        headers(0x21, b"\0\0\0\x01\x10\x82\x87\x84"),
        // A malformed one that does not end.
        headers(0x1, b"\x82\x87\x84\x00\x02te\x01x"),
    ] {
        let bytes = [&preface[..], &cut, &frame(6, 0, 8)].concat();
        let read = check(&mut guard(now), &bytes, 7, now).expect("no fault");
        assert_eq!(read, [&preface[..], b"\0\0\0\x09\0\0\0\0\0", &cut, &frame(6, 0, 8)].concat());
        let (mut client, host) = tokio::io::duplex(1 << 16);
        client.write_all(&read).await.expect("room");
        let mut connection = h2::server::handshake(host).await.expect("the preface came");
        let request: Option<Result<(_, h2::server::SendResponse<bytes::Bytes>), _>> = connection.accept().await;
        let error = request.and_then(Result::err).expect("an error");
        assert!(error.is_go_away() && error.reason() == Some(h2::Reason::PROTOCOL_ERROR), "{error:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_are_the_same(bytes in vec(any::<u8>(), 0..300), size in 1..50_usize) {
        let now = Instant::now();
        let bytes = [&[0; PREFACE_BYTES][..], &bytes].concat();
        let whole = check(&mut guard(now), &bytes, bytes.len(), now);
        prop_assert_eq!(check(&mut guard(now), &bytes, size, now), whole);
    }

    #[test]
    fn frames_of_any_fields_in_any_pieces_are_the_same(
        frames in vec((0_u8..10, any::<u8>(), 0_u32..6, vec(any::<u8>(), 0..40)), 0..8),
        size in 1..50_usize,
    ) {
        let now = Instant::now();
        let mut bytes = vec![0; PREFACE_BYTES];
        for (kind, flags, stream, payload) in frames {
            bytes.extend_from_slice(&[0, 0, u8::try_from(payload.len()).expect("short"), kind, flags]);
            bytes.extend_from_slice(&stream.to_be_bytes());
            bytes.extend_from_slice(&payload);
        }
        let whole = check(&mut guard(now), &bytes, bytes.len(), now);
        prop_assert_eq!(check(&mut guard(now), &bytes, size, now), whole);
    }
}
