//! DNS messages (RFC 1035): a question in bytes out of a name, and what an answer to it says out of bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    A,
    /// RFC 3596.
    Aaaa,
    /// RFC 2782.
    Srv,
}

impl Kind {
    fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
            Self::Srv => 33,
        }
    }
}

/// One record of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    Address(IpAddr),
    /// Where a service is, in the words of RFC 2782.
    Service {
        priority: u16,
        weight: u16,
        port: u16,
        target: String,
    },
}

/// What an answer says; nothing where the name is there and has no such records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) records: Vec<Record>,
    /// In seconds, the least of all.
    pub(crate) ttl: u32,
}

/// Why there is no answer in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is about something else: the answer may come yet.
    NotOurs,
    /// It does not fit into a packet.
    Truncated,
    /// There is no such name.
    NoName,
    /// The server could not tell: a response code of RFC 1035, section 4.1.1.
    Failed(u8),
    /// It cannot be read.
    Broken,
}

const CNAME: u16 = 5;
const INTERNET: u16 = 1;
const HEAD_BYTES: usize = 12;
const LABEL_BYTES_MAX: usize = 63;
const NAME_BYTES_MAX: usize = 255;

/// Records that are looked at, and names that stand for others one after the other.
const RECORDS_MAX: usize = 4_096;
const ALIASES_MAX: usize = 16;
const JUMPS_MAX: usize = 32;

/// A question; none where this is no name that could be asked for.
pub(super) fn question(id: u16, name: &str, kind: Kind) -> Option<Vec<u8>> {
    let mut message = id.to_be_bytes().to_vec();
    // One question, and recursion is wanted.
    message.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.strip_suffix('.').unwrap_or(name).split('.') {
        if label.is_empty() || label.len() > LABEL_BYTES_MAX {
            return None;
        }
        message.push(u8::try_from(label.len()).ok()?);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    if message.len() > HEAD_BYTES + NAME_BYTES_MAX {
        return None;
    }
    message.extend_from_slice(&kind.number().to_be_bytes());
    message.extend_from_slice(&INTERNET.to_be_bytes());
    Some(message)
}

/// What this message answers to the question.
///
/// # Errors
/// It is no answer, or not to this question.
pub(super) fn answer(message: &[u8], id: u16, name: &str, kind: Kind) -> Result<Answer, Refused> {
    let mut reader = Reader { message, at: 0 };
    let [found, flags, questions, answers] = reader.words().ok_or(Refused::NotOurs)?;
    let is_response = flags & 0x8000 != 0;
    let asked = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    if found != id || !is_response || questions != 1 {
        return Err(Refused::NotOurs);
    }
    reader.at = HEAD_BYTES;
    let (Some(about), Some([of, _])) = (reader.name(), reader.words()) else { return Err(Refused::NotOurs) };
    if about != asked || of != kind.number() {
        return Err(Refused::NotOurs);
    }
    match u8::try_from(flags & 0xf).unwrap_or_default() {
        0 if flags & 0x0200 != 0 => return Err(Refused::Truncated),
        0 => {}
        3 => return Err(Refused::NoName),
        code => return Err(Refused::Failed(code)),
    }
    let mut entries = Vec::new();
    for _ in 0..usize::from(answers).min(RECORDS_MAX) {
        entries.push(reader.entry().ok_or(Refused::Broken)?);
    }
    follow(&entries, asked, kind).ok_or(Refused::Broken)
}

/// The records of the name, or of the one that it stands for.
fn follow(entries: &[Entry<'_>], mut name: String, kind: Kind) -> Option<Answer> {
    let mut ttl = u32::MAX;
    for _ in 0..ALIASES_MAX {
        let of_name = |entry: &&Entry<'_>| entry.name == name;
        let Some(alias) = entries.iter().filter(of_name).find(|entry| entry.kind == CNAME) else {
            let found: Vec<_> = entries.iter().filter(of_name).filter(|entry| entry.kind == kind.number()).collect();
            let ttl = found.iter().map(|entry| entry.ttl).fold(ttl, u32::min);
            let records: Option<Vec<_>> = found.iter().map(|entry| entry.record(kind)).collect();
            return Some(Answer { records: records?, ttl });
        };
        ttl = ttl.min(alias.ttl);
        name = Reader { message: alias.message, at: alias.data_at }.name()?;
    }
    None
}

/// One record as it stands in a message.
#[derive(Debug)]
struct Entry<'a> {
    name: String,
    kind: u16,
    ttl: u32,
    message: &'a [u8],
    data_at: usize,
    data: &'a [u8],
}

impl Entry<'_> {
    fn record(&self, kind: Kind) -> Option<Record> {
        Some(match kind {
            Kind::A => Record::Address(Ipv4Addr::from(<[u8; 4]>::try_from(self.data).ok()?).into()),
            Kind::Aaaa => Record::Address(Ipv6Addr::from(<[u8; 16]>::try_from(self.data).ok()?).into()),
            Kind::Srv => {
                let mut reader = Reader { message: self.message, at: self.data_at };
                let [priority, weight, port] = reader.words()?;
                Record::Service { priority, weight, port, target: reader.name()? }
            }
        })
    }
}

/// A place in a message.
#[derive(Debug)]
struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.message.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn words<const N: usize>(&mut self) -> Option<[u16; N]> {
        let mut words = [0; N];
        for word in &mut words {
            *word = u16::from_be_bytes(self.take(2)?.try_into().ok()?);
        }
        Some(words)
    }

    fn entry(&mut self) -> Option<Entry<'a>> {
        let name = self.name()?;
        let [kind, _class, high, low, length] = self.words()?;
        let data_at = self.at;
        let data = self.take(usize::from(length))?;
        // A time to live of more than 31 bits is none (RFC 2181, section 8).
        let ttl = u32::from(high) << 16 | u32::from(low);
        let ttl = if ttl > i32::MAX.unsigned_abs() { 0 } else { ttl };
        Some(Entry { name, kind, ttl, message: self.message, data_at, data })
    }

    /// A name in lower case, without the dot at its end. Its rest may stand elsewhere (RFC 1035, section 4.1.4).
    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        let (mut after, mut jumps) = (None, 0);
        loop {
            let length = usize::from(*self.take(1)?.first()?);
            match length {
                0 => break,
                1..=LABEL_BYTES_MAX => {
                    let label = self.take(length)?;
                    if !name.is_empty() {
                        name.push('.');
                    }
                    // Of a label that is no text nothing else is wanted than to be no name of ours.
                    name.push_str(&String::from_utf8_lossy(label).to_ascii_lowercase());
                    if name.len() > NAME_BYTES_MAX {
                        return None;
                    }
                }
                0xc0.. => {
                    let low = usize::from(*self.take(1)?.first()?);
                    after.get_or_insert(self.at);
                    self.at = (length & 0x3f) << 8 | low;
                    jumps += 1;
                    if jumps > JUMPS_MAX {
                        return None;
                    }
                }
                _ => return None,
            }
        }
        if let Some(after) = after {
            self.at = after;
        }
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The answer to a question, with these records: what they are of, their kind, their time to live, their data.
    fn message(kind: Kind, flags: u16, records: &[(&[u8], u16, u32, &[u8])]) -> Vec<u8> {
        let mut message = question(7, "web.Internal", kind).expect("a question");
        let [high, low] = (0x8180 | flags).to_be_bytes();
        message.splice(2..4, [high, low]);
        message.splice(6..8, [0, u8::try_from(records.len()).expect("few")]);
        for (name, kind, ttl, data) in records {
            message.extend_from_slice(name);
            message.extend_from_slice(&kind.to_be_bytes());
            message.extend_from_slice(&INTERNET.to_be_bytes());
            message.extend_from_slice(&ttl.to_be_bytes());
            message.extend_from_slice(&u16::try_from(data.len()).expect("short").to_be_bytes());
            message.extend_from_slice(data);
        }
        message
    }

    /// The name of the question, by where it stands.
    const ASKED: &[u8] = &[0xc0, 12];

    #[track_caller]
    fn check(kind: Kind, message: &[u8], expected: Result<(&[Record], u32), Refused>) {
        let expected = expected.map(|(records, ttl)| Answer { records: records.to_vec(), ttl });
        assert_eq!(answer(message, 7, "WEB.internal.", kind), expected);
    }

    #[test]
    fn addresses_are_those_of_the_name_or_of_the_one_that_it_stands_for() {
        let address = |last| Record::Address(IpAddr::from([10, 0, 0, last]));
        let both = message(Kind::A, 0, &[(ASKED, 1, 30, &[10, 0, 0, 1]), (ASKED, 1, 20, &[10, 0, 0, 2])]);
        check(Kind::A, &both, Ok((&[address(1), address(2)], 20)));
        let alias = [(ASKED, CNAME, 5, b"\x01b\xc0\x10".as_slice()), (b"\x01b\xc0\x10", 1, 60, &[10, 0, 0, 3])];
        check(Kind::A, &message(Kind::A, 0, &alias), Ok((&[address(3)], 5)));
        // What is of another name is not meant.
        check(Kind::A, &message(Kind::A, 0, &[(b"\x01x\0", 1, 30, &[10, 0, 0, 1])]), Ok((&[], u32::MAX)));
        let sixth = message(Kind::Aaaa, 0, &[(ASKED, 28, 9, &[0; 16])]);
        check(Kind::Aaaa, &sixth, Ok((&[Record::Address(IpAddr::V6(Ipv6Addr::UNSPECIFIED))], 9)));
    }

    #[test]
    fn a_service_has_a_port_and_a_target() {
        let data = [&[0, 1, 0, 5, 0x1f, 0x90, 2], b"db".as_slice(), &[0xc0, 16]].concat();
        let service = Record::Service { priority: 1, weight: 5, port: 8080, target: "db.internal".to_owned() };
        check(Kind::Srv, &message(Kind::Srv, 0, &[(ASKED, 33, 9, &data)]), Ok((&[service], 9)));
    }

    #[test]
    fn what_is_no_answer_is_told_apart() {
        let good = message(Kind::A, 0, &[]);
        check(Kind::A, &good, Ok((&[], u32::MAX)));
        check(Kind::Aaaa, &good, Err(Refused::NotOurs));
        assert_eq!(answer(&good, 8, "web.internal", Kind::A), Err(Refused::NotOurs));
        assert_eq!(answer(&good, 7, "web.interna", Kind::A), Err(Refused::NotOurs));
        check(Kind::A, &message(Kind::A, 3, &[]), Err(Refused::NoName));
        check(Kind::A, &message(Kind::A, 2, &[]), Err(Refused::Failed(2)));
        check(Kind::A, &message(Kind::A, 0x0200, &[]), Err(Refused::Truncated));
        check(Kind::A, &message(Kind::A, 0, &[(ASKED, 1, 9, &[1, 2, 3])]), Err(Refused::Broken));
        // One alias that is its own, and a name that begins where it stands.
        check(Kind::A, &message(Kind::A, 0, &[(ASKED, CNAME, 9, ASKED)]), Err(Refused::Broken));
        let at = u8::try_from(good.len()).expect("short");
        check(Kind::A, &message(Kind::A, 0, &[(&[0xc0, at], 1, 9, &[10, 0, 0, 1])]), Err(Refused::Broken));
    }

    #[test]
    fn a_name_that_cannot_be_asked_for_is_none() {
        for name in ["", ".", "a..b", &"a".repeat(64), &"a.".repeat(128)] {
            assert_eq!(question(1, name, Kind::A), None, "{name}");
        }
        assert!(question(1, &format!("{}.b.", "a".repeat(63)), Kind::A).is_some());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(
            records in proptest::collection::vec(any::<u8>(), 0..200),
            at in 0..200_usize,
            byte in any::<u8>(),
        ) {
            let _ = answer(&records, 7, "web.internal", Kind::A);
            let mut whole = message(Kind::Srv, 0, &[(ASKED, 33, 9, &[0, 1, 0, 5, 0x1f, 0x90, 2, b'd', b'b', 0xc0, 16])]);
            whole.extend_from_slice(&records);
            if let Some(place) = whole.get_mut(at) {
                *place = byte;
            }
            let _ = answer(&whole, 7, "web.internal", Kind::Srv);
        }
    }
}
