//! A ClientHello apart: the bytes that a client has sent so far go in; what JA4 asks of it comes out, as soon as it is whole.
//!
//! No byte is trusted: whatever is not as RFC 8446 says is no ClientHello, and nothing here panics.

/// A ClientHello, as far as anybody asks (RFC 8446, section 4.1.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) legacy_version: u16,
    pub(super) cipher_suites: Vec<u16>,
    /// In the order in which they came.
    pub(super) extensions: Vec<u16>,
    pub(super) supported_versions: Vec<u16>,
    pub(super) signature_algorithms: Vec<u16>,
    /// The first protocol that is offered (RFC 7301, section 3.1).
    pub(super) alpn: Option<Vec<u8>>,
}

/// What the bytes so far are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Peeked {
    /// The beginning of a ClientHello.
    Part,
    /// All of it, whatever comes behind it.
    Whole(Hello),
    /// Something else.
    Other,
}

/// Looks at the records so far (RFC 8446, section 5.1): a ClientHello may come in any number of them, of one byte each at
/// the least.
pub(super) fn peek(records: &[u8]) -> Peeked {
    let mut message = Vec::new();
    let mut rest = Reader(records);
    loop {
        match (whole(&message), rest.is_empty()) {
            (Some(body), _) => return parse(body).map_or(Peeked::Other, Peeked::Whole),
            (None, true) => return Peeked::Part,
            (None, false) => {}
        }
        if rest.0.first() != Some(&HANDSHAKE) {
            return Peeked::Other;
        }
        let Some(length) = rest.0.get(3..5).and_then(|length| Reader(length).u16()) else { return Peeked::Part };
        if length == 0 || length > RECORD_BYTES_MAX {
            return Peeked::Other;
        }
        let end = rest.0.len().min(5 + usize::from(length));
        let is_cut = end < 5 + usize::from(length);
        message.extend_from_slice(rest.0.get(5..end).unwrap_or_default());
        if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
            return Peeked::Other;
        }
        if is_cut && whole(&message).is_none() {
            return Peeked::Part;
        }
        rest = Reader(rest.0.get(end..).unwrap_or_default());
    }
}

/// The ClientHello that these bytes are, or begin with.
pub(super) fn message_of(bytes: &[u8]) -> Option<Hello> {
    whole(bytes).filter(|_| bytes.first() == Some(&CLIENT_HELLO)).and_then(parse)
}

/// The types of a record and of a message, and the longest record of plain text (RFC 8446, sections 5.1 and 4).
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const RECORD_BYTES_MAX: u16 = 1 << 14;

/// The body of the message, once all of it is there.
fn whole(message: &[u8]) -> Option<&[u8]> {
    let length = Reader(message.get(1..4)?).u24()?;
    message.get(4..4_usize.checked_add(length)?)
}

fn parse(body: &[u8]) -> Option<Hello> {
    let mut reader = Reader(body);
    let legacy_version = reader.u16()?;
    reader.take(32)?;
    reader.list8()?;
    let cipher_suites = numbers(reader.list16()?)?;
    reader.list8()?;
    let mut hello = Hello { legacy_version, cipher_suites, ..Hello::default() };
    if reader.is_empty() {
        // Before TLS 1.3 there need be none.
        return Some(hello);
    }
    let mut extensions = Reader(reader.list16()?);
    while !extensions.is_empty() {
        let kind = extensions.u16()?;
        let mut data = Reader(extensions.list16()?);
        hello.extensions.push(kind);
        match kind {
            SIGNATURE_ALGORITHMS => hello.signature_algorithms = numbers(data.list16()?)?,
            SUPPORTED_VERSIONS => hello.supported_versions = numbers(data.list8()?)?,
            ALPN => hello.alpn = Some(Reader(data.list16()?).list8()?.to_vec()),
            _ => {}
        }
    }
    reader.is_empty().then_some(hello)
}

/// RFC 8446, section 4.2.
pub(super) const SERVER_NAME: u16 = 0;
pub(super) const ALPN: u16 = 16;
const SIGNATURE_ALGORITHMS: u16 = 13;
const SUPPORTED_VERSIONS: u16 = 43;

fn numbers(list: &[u8]) -> Option<Vec<u16>> {
    let mut reader = Reader(list);
    let mut numbers = Vec::with_capacity(list.len() / 2);
    while !reader.is_empty() {
        numbers.push(reader.u16()?);
    }
    Some(numbers)
}

/// What is left to be read.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, bytes: usize) -> Option<usize> {
        Some(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn u16(&mut self) -> Option<u16> {
        self.number(2).and_then(|number| u16::try_from(number).ok())
    }

    fn u24(&mut self) -> Option<usize> {
        self.number(3)
    }

    /// A list with its length in one byte before it.
    fn list8(&mut self) -> Option<&'a [u8]> {
        let length = self.number(1)?;
        self.take(length)
    }

    /// A list with its length in two bytes before it.
    fn list16(&mut self) -> Option<&'a [u8]> {
        let length = self.number(2)?;
        self.take(length)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// A ClientHello with these extensions, as one message.
    pub(in crate::tls) fn message(version: u16, suites: &[u16], extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let wide = |bytes: &[u8]| [&u16::try_from(bytes.len()).expect("short").to_be_bytes()[..], bytes].concat();
        let suites: Vec<u8> = suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
        let extensions = extensions.iter().flat_map(|(kind, data)| [&kind.to_be_bytes()[..], &wide(data)].concat());
        let extensions: Vec<u8> = extensions.collect();
        let parts = [&version.to_be_bytes()[..], &[7; 32], &[0], &wide(&suites), &[1, 0], &wide(&extensions)];
        let body = parts.concat();
        let length = u16::try_from(body.len()).expect("short").to_be_bytes();
        [&[CLIENT_HELLO, 0][..], &length, &body].concat()
    }

    /// In records of so many bytes.
    pub(in crate::tls) fn records(message: &[u8], bytes: usize) -> Vec<u8> {
        let record = |piece: &[u8]| {
            [&[HANDSHAKE, 3, 1][..], &u16::try_from(piece.len()).expect("short").to_be_bytes(), piece].concat()
        };
        message.chunks(bytes).flat_map(record).collect()
    }

    fn sample() -> Vec<u8> {
        let alpn = vec![0, 12, 2, b'h', b'2', 8, b'h', b't', b't', b'p', b'/', b'1', b'.', b'1'];
        let extensions = [
            (0, vec![0, 6, 0, 0, 3, b'a', b'.', b'b']),
            (16, alpn),
            (43, vec![4, 3, 4, 3, 3]),
            (13, vec![0, 4, 4, 3, 8, 4]),
        ];
        message(0x0303, &[0x1301, 0xc02b], &extensions)
    }

    #[test]
    fn a_hello_in_records_of_any_size_is_read_once_it_is_whole() {
        let expected = Hello {
            legacy_version: 0x0303,
            cipher_suites: vec![0x1301, 0xc02b],
            extensions: vec![0, 16, 43, 13],
            supported_versions: vec![0x0304, 0x0303],
            signature_algorithms: vec![0x0403, 0x0804],
            alpn: Some(b"h2".to_vec()),
        };
        for bytes in [1, 2, 3, 7, 1_000] {
            let records = records(&sample(), bytes);
            assert_eq!(peek(&records), Peeked::Whole(expected.clone()), "{bytes}");
            let behind = [&records[..], b"\x16\x03\x03\x00\x01x and more"].concat();
            assert_eq!(peek(&behind), Peeked::Whole(expected.clone()), "{bytes}");
            for cut in 0..records.len() {
                assert_eq!(peek(&records[..cut]), Peeked::Part, "{bytes}, {cut}");
            }
        }
    }

    #[test]
    fn what_is_no_hello_is_something_else() {
        let message = sample();
        let mut longer = message.clone();
        longer[3] += 1;
        longer.push(0);
        for (name, bytes) in [
            ("plain HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
            ("an alert", vec![21, 3, 1, 0, 2, 2, 40]),
            ("another message", records(&[2, 0, 0, 1, 0], 100)),
            ("an empty record", vec![22, 3, 1, 0, 0]),
            ("a record that is too long", vec![22, 3, 1, 0x40, 1]),
            ("an alert in between", [&records(&message[..5], 5)[..], &[21, 3, 1, 0, 2, 2, 40]].concat()),
            ("a byte behind the extensions", records(&longer, 1_000)),
            ("extensions that end early", records(&[&[1, 0, 0, 43][..], &[3; 43]].concat(), 100)),
        ] {
            assert_eq!(peek(&bytes), Peeked::Other, "{name}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_a_client_sends_makes_it_panic(body in vec(any::<u8>(), 0..300), bytes in 1_usize..300) {
            let length = u8::try_from(body.len().min(255)).unwrap_or(255);
            let message = [&[CLIENT_HELLO, 0, 0, length][..], &body].concat();
            if let Peeked::Whole(hello) = peek(&records(&message, bytes)) {
                let _ = crate::tls::ja4::ja4(&hello, crate::tls::ja4::Carrier::Tcp);
                prop_assert_eq!(message_of(&message), Some(hello));
            }
            let _ = message_of(&body);
            let _ = peek(&body);
        }
    }

    #[test]
    fn no_byte_that_is_changed_makes_it_panic() {
        let records = records(&sample(), 20);
        for place in 0..records.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = records.clone();
                changed[place] = value;
                let _ = peek(&changed);
            }
        }
    }
}
