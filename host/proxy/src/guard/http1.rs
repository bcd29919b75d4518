//! The bytes of an HTTP/1 client, in the order in which they came: where each message begins and ends, and whether it says so in
//! one way only (RFC 9112).
//!
//! The guard keeps count beside hyper, which is the parser: it refuses what hyper would take, and everything else is hyper's to
//! refuse. What it finds is made known to hyper by [`POISON`] in place of the bytes, so that the answer is a 400 as for any other
//! malformed message, and comes in its turn.

use memchr::{memchr, memchr2};

/// What no message goes on with, wherever it is within its head or between its chunks: a CR without its LF. It ends as a head does,
/// because a parser may look at a head again only when that has come.
pub(crate) const POISON: &[u8] = b"\r\0\r\n\r\n";

/// Why a message is refused. Each is a message that another HTTP parser may end elsewhere than we do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Ambiguity {
    /// A parser may take it for the end of a line; others do not.
    #[error("a line ends in LF alone (RFC 9112, section 2.2)")]
    BareLf,
    /// Likewise.
    #[error("a CR is not the end of its line (RFC 9112, section 2.2)")]
    BareCr,
    /// One such line is to be ignored, and only one.
    #[error("empty lines stand before the request line (RFC 9112, section 2.2)")]
    EmptyLines,
    /// It is no part of a request; parsers cut it off, or do not.
    #[error("the request target has a fragment (RFC 9112, section 3.2)")]
    Fragment,
    /// Nobody parses so long a line of a head; some do of a chunk.
    #[error("a line has no end")]
    NoEnd,
    /// It once continued the field before it.
    #[error("a field line begins with white space (RFC 9112, sections 2.2 and 5.2)")]
    Fold,
    /// Even where they agree: whoever merges or drops one of them sees another message.
    #[error("there is more than one Content-Length (RFC 9112, section 6.3)")]
    LengthTwice,
    /// A list, a sign, white space within.
    #[error("Content-Length is not a number alone (RFC 9110, section 8.6)")]
    Length,
    /// The classic of request smuggling.
    #[error("there are both Content-Length and Transfer-Encoding (RFC 9112, section 6.3)")]
    LengthAndCoding,
    /// Whoever looks at the first, or at the last, sees another message.
    #[error("there is more than one Transfer-Encoding (RFC 9112, section 6.1)")]
    CodingTwice,
    /// Not digits alone, or more than 64 bits of them.
    #[error("a chunk's size is not a hexadecimal number (RFC 9112, section 7.1)")]
    ChunkSize,
    /// Control characters, or white space that no extension follows.
    #[error("a chunk's extension is malformed (RFC 9112, section 7.1.1)")]
    ChunkExtension,
    /// There is more, or less, data than its size says.
    #[error("a chunk does not end where its size says (RFC 9112, section 7.1)")]
    ChunkEnd,
}

/// Where one client's bytes are at.
#[derive(Debug)]
pub(crate) struct Http1Guard {
    at: At,
    framing: Framing,
    /// The beginning of a line whose end has not come.
    partial: Vec<u8>,
    partial_bytes_max: usize,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// A request line, or the empty line that may stand before it.
    Start,
    /// As before, after that empty line.
    RequestLine,
    Field,
    Body(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailer,
    /// An answer: it says whether this is still HTTP.
    Answer,
    /// Whatever it is, it is not looked at.
    Unguarded,
}

/// What a head said of its body, up to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Framing {
    length: Option<u64>,
    coding: Option<Coding>,
    upgrades: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    /// Chunked comes last.
    Chunked,
    /// The parser refuses it.
    Other,
}

/// How far the bytes may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checked {
    /// All of them.
    All,
    /// So many of them; the others when it is known whether they are HTTP.
    Hold(usize),
    /// So many of them, and no more ever.
    Refuse(usize, Ambiguity),
}

impl Http1Guard {
    /// For a connection on whose heads there is a limit of so many bytes, which somebody else keeps.
    pub(crate) fn new(header_bytes: usize) -> Self {
        let partial_bytes_max = header_bytes.saturating_mul(2);
        Self { at: At::Start, framing: Framing::default(), partial: Vec::new(), partial_bytes_max }
    }

    /// Whether what comes is to be held back until [`Http1Guard::goes_on`] or [`Http1Guard::ends`].
    pub(crate) fn holds(&self) -> bool {
        self.at == At::Answer
    }

    /// Whether a head has begun, and not ended. The empty line that may stand before one is none (RFC 9112, section 2.2).
    pub(crate) fn is_in_head(&self) -> bool {
        match self.at {
            At::Start | At::RequestLine => !self.partial.is_empty(),
            At::Field => true,
            At::Body(_) | At::ChunkSize | At::Chunk(_) | At::ChunkEnd | At::Trailer | At::Answer | At::Unguarded => {
                false
            }
        }
    }

    /// Whether everything that came is of messages that have ended.
    pub(crate) fn is_between_messages(&self) -> bool {
        self.at == At::Start && self.partial.is_empty()
    }

    /// Nothing is expected to come for a while.
    pub(crate) fn rests(&mut self) {
        self.partial.shrink_to_fit();
    }

    /// The answer was one of HTTP: what comes next is another request.
    pub(crate) fn goes_on(&mut self) {
        if self.holds() {
            self.at = At::Start;
        }
    }

    /// The answer was the end of HTTP on this connection.
    pub(crate) fn ends(&mut self) {
        self.at = At::Unguarded;
    }

    /// Looks at what came next.
    pub(crate) fn check(&mut self, bytes: &[u8]) -> Checked {
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            match self.at {
                At::Unguarded => return Checked::All,
                At::Answer => return Checked::Hold(done),
                At::Body(left) | At::Chunk(left) => done += self.skip(left, rest.len()),
                At::Start | At::RequestLine | At::Field | At::ChunkSize | At::ChunkEnd | At::Trailer => {
                    match self.line(rest) {
                        Ok(Some(length)) => done += length,
                        Ok(None) => return Checked::All,
                        Err((offset, why)) => {
                            self.at = At::Unguarded;
                            return Checked::Refuse(done + offset, why);
                        }
                    }
                }
            }
        }
        Checked::All
    }

    fn skip(&mut self, left: u64, available: usize) -> usize {
        let skipped = usize::try_from(left).map_or(available, |left| left.min(available));
        let left = left.saturating_sub(u64::try_from(skipped).unwrap_or(left));
        self.at = match (self.at, left) {
            (At::Chunk(_), 0) => At::ChunkEnd,
            (At::Chunk(_), left) => At::Chunk(left),
            (_, 0) => At::Start,
            (_, left) => At::Body(left),
        };
        skipped
    }

    /// Reads up to the end of a line: how long it was, with its end. None where its end has not come.
    fn line(&mut self, bytes: &[u8]) -> Result<Option<usize>, (usize, Ambiguity)> {
        let ended_in_cr = self.partial.last() == Some(&b'\r');
        let end = if ended_in_cr { Some(0) } else { memchr2(b'\r', b'\n', bytes) };
        let Some(end) = end else { return self.keep(bytes) };
        let after_cr = if ended_in_cr { end } else { end + 1 };
        if !ended_in_cr && bytes.get(end) == Some(&b'\n') {
            return Err((end, Ambiguity::BareLf));
        }
        match bytes.get(after_cr) {
            None => self.keep(bytes),
            Some(b'\n') => {
                let read = if self.partial.is_empty() {
                    self.read(bytes.get(..end).unwrap_or_default())
                } else {
                    let mut line = std::mem::take(&mut self.partial);
                    line.extend_from_slice(bytes.get(..end).unwrap_or_default());
                    let line_end = line.len() - usize::from(ended_in_cr);
                    let read = self.read(line.get(..line_end).unwrap_or_default());
                    line.clear();
                    self.partial = line;
                    read
                };
                read.map(|()| Some(after_cr + 1)).map_err(|why| (end, why))
            }
            Some(_) => Err((end, Ambiguity::BareCr)),
        }
    }

    /// Keeps the beginning of a line.
    fn keep(&mut self, bytes: &[u8]) -> Result<Option<usize>, (usize, Ambiguity)> {
        if self.partial.len() + bytes.len() > self.partial_bytes_max {
            self.partial = Vec::new();
            return Err((0, Ambiguity::NoEnd));
        }
        self.partial.extend_from_slice(bytes);
        Ok(None)
    }

    /// A whole line without its end.
    fn read(&mut self, line: &[u8]) -> Result<(), Ambiguity> {
        self.at = match self.at {
            At::Start if line.is_empty() => At::RequestLine,
            At::RequestLine if line.is_empty() => return Err(Ambiguity::EmptyLines),
            At::Start | At::RequestLine if memchr(b'#', line).is_some() => return Err(Ambiguity::Fragment),
            At::Start | At::RequestLine => {
                self.framing = Framing::default();
                At::Field
            }
            At::Field if line.is_empty() => self.framing.next(),
            At::Field => {
                self.framing.read(line)?;
                At::Field
            }
            At::ChunkSize => match chunk_size(line)? {
                0 => At::Trailer,
                size => At::Chunk(size),
            },
            At::ChunkEnd if line.is_empty() => At::ChunkSize,
            At::ChunkEnd => return Err(Ambiguity::ChunkEnd),
            At::Trailer if line.is_empty() => At::Start,
            At::Trailer if is_fold(line) => return Err(Ambiguity::Fold),
            At::Trailer => At::Trailer,
            at @ (At::Body(_) | At::Chunk(_) | At::Answer | At::Unguarded) => at,
        };
        Ok(())
    }
}

impl Framing {
    /// What follows the head.
    fn next(self) -> At {
        match (self.coding, self.length) {
            (Some(Coding::Chunked), _) => At::ChunkSize,
            (Some(Coding::Other), _) => At::Unguarded,
            (None, Some(length)) if length > 0 => At::Body(length),
            (None, _) if self.upgrades => At::Answer,
            (None, _) => At::Start,
        }
    }

    fn read(&mut self, line: &[u8]) -> Result<(), Ambiguity> {
        match line.first() {
            Some(b' ' | b'\t') => return Err(Ambiguity::Fold),
            Some(b'c' | b'C' | b't' | b'T' | b'u' | b'U') => {}
            Some(_) | None => return Ok(()),
        }
        if let Some(value) = value_of(line, b"content-length") {
            if self.length.is_some() {
                return Err(Ambiguity::LengthTwice);
            }
            if self.coding.is_some() {
                return Err(Ambiguity::LengthAndCoding);
            }
            self.length = Some(decimal(value).ok_or(Ambiguity::Length)?);
        } else if let Some(value) = value_of(line, b"transfer-encoding") {
            if self.coding.is_some() {
                return Err(Ambiguity::CodingTwice);
            }
            if self.length.is_some() {
                return Err(Ambiguity::LengthAndCoding);
            }
            let last = value.rsplit(|byte| *byte == b',').next().unwrap_or_default().trim_ascii();
            let is_chunked = last.eq_ignore_ascii_case(b"chunked");
            self.coding = Some(if is_chunked { Coding::Chunked } else { Coding::Other });
        } else if value_of(line, b"upgrade").is_some() {
            self.upgrades = true;
        }
        Ok(())
    }
}

/// The value of the field of this name in lower case; none where the line is another's.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (found, value) = line.split_at_checked(name.len())?;
    let value = value.strip_prefix(b":")?;
    found.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn is_fold(line: &[u8]) -> bool {
    matches!(line.first(), Some(b' ' | b'\t'))
}

/// Digits and nothing else (RFC 9110, section 8.6).
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// The size of a chunk, and after it nothing or extensions (RFC 9112, sections 7.1 and 7.1.1).
fn chunk_size(line: &[u8]) -> Result<u64, Ambiguity> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (size, rest) = line.split_at_checked(digits).unwrap_or_default();
    if size.is_empty() || size.len() > 16 {
        return Err(Ambiguity::ChunkSize);
    }
    let extension = rest.trim_ascii_start();
    if !rest.is_empty() && extension.first() != Some(&b';') {
        // White space before what is no extension could be cut off, or not.
        return Err(if extension.is_empty() { Ambiguity::ChunkExtension } else { Ambiguity::ChunkSize });
    }
    if extension.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
        return Err(Ambiguity::ChunkExtension);
    }
    let size = std::str::from_utf8(size).ok().and_then(|size| u64::from_str_radix(size, 16).ok());
    size.ok_or(Ambiguity::ChunkSize)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

    #[test]
    fn messages_are_followed_one_after_the_other() {
        for text in [
            GET,
            "\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\na\nb\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\n\n\r\n5 ;a=\"b\"\r\nabcde\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n\r\nA;x\r\n0123456789\r\n00\r\nt: 1\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
            "GET / HTTP/1.1\r\ncontent-lengths: a, b\r\nx: \r\n\r\n",
        ] {
            check(text, None);
            check(&format!("{GET}{GET}{text}"), None);
        }
    }

    #[test]
    fn a_head_has_begun_with_its_first_byte_and_not_with_an_empty_line() {
        for (text, expected) in [
            ("", false),
            ("\r\n", false),
            ("G", true),
            ("\r\nGET / HT", true),
            ("GET / HTTP/1.1\r\n", true),
            ("GET / HTTP/1.1\r\nhost: a\r\n\r", true),
            ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", false),
            ("POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nGET ", false),
            ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5\r\nGET", false),
        ] {
            for before in ["", GET] {
                let mut guard = Http1Guard::new(1_000);
                assert_eq!(guard.check(format!("{before}{text}").as_bytes()), Checked::All);
                assert_eq!(guard.is_in_head(), expected, "{text:?}");
            }
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused_where_it_begins() {
        use Ambiguity as A;
        for (text, why) in [
            ("GET / HTTP/1.1^\nhost: a\r\n\r\n", A::BareLf),
            ("GET / HTTP/1.1\r\nhost: a^\n\r\n", A::BareLf),
            ("GET / HTTP/1.1\r\nhost: a\r\n^\n", A::BareLf),
            ("GET / HTTP/1.1\r\nx: a^\rb\r\n\r\n", A::BareCr),
            ("GET / HTTP/1.1^\r\r\n\r\n", A::BareCr),
            ("GET /a#b HTTP/1.1^\r\n\r\n", A::Fragment),
            ("\r\n^\r\nGET / HTTP/1.1\r\n\r\n", A::EmptyLines),
            ("GET / HTTP/1.1\r\nx: a\r\n b^\r\n\r\n", A::Fold),
            ("GET / HTTP/1.1\r\n\tx: a^\r\n\r\n", A::Fold),
            ("POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 1^\r\n\r\n", A::LengthTwice),
            ("POST / HTTP/1.1\r\ncontent-length: 1, 1^\r\n\r\n", A::Length),
            ("POST / HTTP/1.1\r\ncontent-length: +1^\r\n\r\n", A::Length),
            ("POST / HTTP/1.1\r\ncontent-length:^\r\n\r\n", A::Length),
            ("POST / HTTP/1.1\r\ncontent-length: 18446744073709551616^\r\n\r\n", A::Length),
            ("POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked^\r\n\r\n", A::LengthAndCoding),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1^\r\n\r\n", A::LengthAndCoding),
            ("POST / HTTP/1.1\r\ntransfer-encoding: x\r\ntransfer-encoding: chunked^\r\n\r\n", A::CodingTwice),
            ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0x1^\r\n", A::ChunkSize),
            ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n^\r\n", A::ChunkSize),
            ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1 1^\r\n", A::ChunkSize),
            ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n11111111111111111^\r\n", A::ChunkSize),
            ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1 ^\r\na\r\n", A::ChunkExtension),
            ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1;a\0^\r\na\r\n", A::ChunkExtension),
            ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1;a^\na\r\n", A::BareLf),
            ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab^\r\n", A::ChunkEnd),
            ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na^\n0\r\n\r\n", A::BareLf),
            ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: a\r\n b^\r\n\r\n", A::Fold),
            ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: a^\n\r\n", A::BareLf),
        ] {
            check(text, Some(why));
            check(&format!("{GET}{text}"), Some(why));
        }
    }

    /// In one piece, byte by byte, and in every two pieces, it is refused at the mark, or not at all.
    fn check(text: &str, why: Option<Ambiguity>) {
        let (bytes, mark) = (text.replace('^', "").into_bytes(), text.find('^'));
        let expected = why.map(|why| (mark.expect("a mark"), why));
        let found = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let mut guard = Http1Guard::new(1_000);
            let mut before = 0;
            for piece in pieces {
                match guard.check(piece) {
                    Checked::All => before += piece.len(),
                    Checked::Refuse(offset, why) => return Some((before + offset, why)),
                    Checked::Hold(_) => panic!("held {text:?}"),
                }
            }
            None
        };
        assert_eq!(found(&mut std::iter::once(bytes.as_slice())), expected, "{text:?}");
        for cut in 1..bytes.len() {
            let (one, two) = bytes.split_at(cut);
            let found = found(&mut [one, two].into_iter());
            // A line's end that came in two pieces is known to be wrong with the second.
            let late = |found: Option<(usize, Ambiguity)>| found.map(|(at, why)| (at.max(mark.unwrap_or(0)), why));
            let near = |(at, _): (usize, Ambiguity)| at - mark.unwrap_or(0) <= 1;
            assert!(late(found).is_none_or(near), "{text:?} cut at {cut}: {found:?}");
            assert_eq!(found.map(|(_, why)| why), why, "{text:?} cut at {cut}");
        }
        assert_eq!(found(&mut bytes.chunks(1)).map(|(_, why)| why), why, "{text:?} byte by byte");
    }

    #[test]
    fn what_follows_a_request_to_upgrade_is_held_until_its_answer() {
        let upgrade = "GET / HTTP/1.1\r\nhost: a\r\nUpgrade: websocket\r\n\r\n";
        let mut guard = Http1Guard::new(1_000);
        let together = format!("{upgrade}{GET}\n");
        assert_eq!(guard.check(together.as_bytes()), Checked::Hold(upgrade.len()));
        assert!(guard.holds());
        guard.goes_on();
        let rest = format!("{GET}\n");
        assert_eq!(guard.check(rest.as_bytes()), Checked::Refuse(GET.len(), Ambiguity::BareLf));
        let mut guard = Http1Guard::new(1_000);
        assert_eq!(guard.check(upgrade.as_bytes()), Checked::All);
        guard.ends();
        assert_eq!(guard.check(b"\n\n\r\r"), Checked::All);
        // With a body it cannot be granted.
        let with_body = upgrade.replace("\r\n\r\n", "\r\ncontent-length: 1\r\n\r\nx");
        assert_eq!(Http1Guard::new(1_000).check(format!("{with_body}{GET}").as_bytes()), Checked::All);
    }

    #[test]
    fn a_line_without_an_end_is_refused_wherever_it_is() {
        for begin in ["", "GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5"] {
            for byte in *b"0 a" {
                let mut guard = Http1Guard::new(100);
                assert_eq!(guard.check(begin.as_bytes()), Checked::All);
                for _ in 0..4 {
                    let _ = guard.check(&[byte; 45]);
                }
                let refused = guard.check(&[byte; 45]);
                assert!(guard.partial.capacity() <= 400 && guard.at == At::Unguarded, "{begin:?} {refused:?}");
            }
        }
        let mut guard = Http1Guard::new(100);
        assert_eq!(guard.check(&[b'a'; 200]), Checked::All);
        assert_eq!(guard.check(b"a"), Checked::Refuse(0, Ambiguity::NoEnd));
    }

    /// Why bytes in these pieces are refused, if they are, up to where they may not be HTTP any more.
    fn verdict<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<Ambiguity> {
        let mut guard = Http1Guard::new(1 << 20);
        for piece in pieces {
            match guard.check(piece) {
                Checked::All => {}
                Checked::Hold(length) => {
                    assert!(length <= piece.len());
                    return None;
                }
                Checked::Refuse(offset, why) => {
                    assert!(offset <= piece.len());
                    return Some(why);
                }
            }
        }
        None
    }

    fn part() -> impl Strategy<Value = Vec<u8>> {
        const PARTS: [&str; 16] = [
            "GET / HTTP/1.1\r\n",
            "POST /a#b HTTP/1.1\r\n",
            "host: a\r\n",
            "content-length: 5\r\n",
            "transfer-encoding: chunked\r\n",
            "transfer-encoding: gzip\r\n",
            "upgrade: x\r\n",
            "\r\n",
            "\n",
            "\r",
            " ",
            "5;a\r\n",
            "hello",
            "0\r\n",
            "fffffffffffffffff\r\n",
            ":",
        ];
        let known = prop::sample::select(&PARTS[..]).prop_map(|part| part.as_bytes().to_vec());
        prop_oneof![8 => known, 1 => vec(any::<u8>(), 0..10)]
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_are_refused_for_the_same(parts in vec(part(), 0..20), size in 1..40_usize) {
            let bytes = parts.concat();
            prop_assert_eq!(verdict(bytes.chunks(size)), verdict(std::iter::once(&bytes[..])), "{:?}", parts);
        }
    }
}
