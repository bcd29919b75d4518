//! A question in SQL goes out; the names and values of its rows come back.

use std::collections::HashMap;

use tokio::io::{AsyncRead, AsyncWrite};

use super::packet::Packets;

const COM_QUERY: u8 = 3;

/// Rows and columns of the answers that are asked for here, and more.
const COLUMNS_MAX: u64 = 8;
const ROWS_MAX: usize = 64;

/// The first two columns of each row.
type Rows = HashMap<String, String>;

/// # Errors
/// The server refuses, or answers with something else.
pub(super) async fn asked<S>(packets: &mut Packets<'_, S>, question: &str) -> Result<Rows, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    packets.begin();
    let mut command = vec![COM_QUERY];
    command.extend_from_slice(question.as_bytes());
    packets.write(&command).await?;
    let first = packets.read().await?;
    let columns = match first.first() {
        Some(0xff) => return Err(error(&first)),
        _ => number(&first).map(|(columns, _)| columns).filter(|columns| (2..=COLUMNS_MAX).contains(columns)),
    };
    for _ in 0..columns.ok_or_else(nonsense)? {
        packets.read().await?;
    }
    if !is_end(&packets.read().await?) {
        return Err(nonsense());
    }
    let mut rows = Rows::new();
    for _ in 0..ROWS_MAX {
        let packet = packets.read().await?;
        if is_end(&packet) {
            return Ok(rows);
        }
        if packet.first() == Some(&0xff) {
            return Err(error(&packet));
        }
        let (name, rest) = text(&packet).ok_or_else(nonsense)?;
        let (value, _) = text(rest).ok_or_else(nonsense)?;
        rows.insert(name.to_ascii_lowercase(), value);
    }
    Err(nonsense())
}

/// # Errors
/// What is asked for has another value.
pub(super) fn is(rows: &Rows, name: &str, good: &str) -> Result<(), String> {
    match rows.get(name) {
        Some(value) if value.eq_ignore_ascii_case(good) => Ok(()),
        Some(value) => Err(format!("{name} is {value:?}, not {good:?}")),
        None => Err(format!("it knows no {name}")),
    }
}

fn nonsense() -> String {
    "its answer to a question is none".to_owned()
}

/// What follows the last column, and the last row.
fn is_end(packet: &[u8]) -> bool {
    packet.first() == Some(&0xfe) && packet.len() < 9
}

/// A number of several lengths.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let length = match first {
        0..=0xfa => return Some((u64::from(*first), rest)),
        0xfc => 2,
        0xfd => 3,
        0xfe => 8,
        0xfb | 0xff => return None,
    };
    let (number, rest) = rest.split_at_checked(length)?;
    Some((number.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte)), rest))
}

/// A text with its length before it; one that is not there is empty.
fn text(bytes: &[u8]) -> Option<(String, &[u8])> {
    if let Some((0xfb, rest)) = bytes.split_first() {
        return Some((String::new(), rest));
    }
    let (length, rest) = number(bytes)?;
    let (text, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((String::from_utf8_lossy(text).into_owned(), rest))
}

/// What a server says instead of an answer: a number, perhaps a state, and a sentence.
pub(super) fn error(packet: &[u8]) -> String {
    let number = packet.get(1..3).and_then(|number| number.try_into().ok()).map_or(0, u16::from_le_bytes);
    let rest = packet.get(3..).unwrap_or_default();
    let rest = if rest.first() == Some(&b'#') { rest.get(6..).unwrap_or_default() } else { rest };
    let text: String = String::from_utf8_lossy(rest).chars().filter(|c| !c.is_control()).take(200).collect();
    format!("it refuses ({number}): {text}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_have_their_length_before_them() {
        assert_eq!(text(b"\x02ON\x01"), Some(("ON".to_owned(), b"\x01".as_slice())));
        assert_eq!(text(b"\xfb\x01"), Some((String::new(), b"\x01".as_slice())));
        assert_eq!(text(b"\xfc\x02\x00ON"), Some(("ON".to_owned(), b"".as_slice())));
        for broken in [b"\x03ON".as_slice(), b"", b"\xff", b"\xfc\x02", b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff"] {
            assert_eq!(text(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn an_error_is_told_with_its_number() {
        assert_eq!(error(b"\xff\x15\x04#28000Access denied"), "it refuses (1045): Access denied");
        assert_eq!(error(b"\xff"), "it refuses (0): ");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = (number(&bytes), text(&bytes), error(&bytes), is_end(&bytes));
            let _ = super::super::login::greeting(&bytes);
        }
    }
}
