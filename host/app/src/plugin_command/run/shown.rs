//! An answer or a body in, the lines that show it out.

use palisade_contract::{Reply, difference};

/// A whole answer: head and body.
pub(super) fn reply(reply: &Reply) -> Vec<String> {
    let mut lines = vec![format!("> {}", reply.status)];
    lines.extend(difference::fields(&reply.headers).map(|field| format!("> {field}")));
    lines.push(format!("> body: {}", body(&reply.body)));
    lines
}

/// A body in one line: its text, or how long it is.
pub(super) fn body(bytes: &[u8]) -> String {
    let size = format!("{} bytes", bytes.len());
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && text.len() <= BODY_BYTES_SHOWN => format!("{size}, {text:?}"),
        Ok(_) | Err(_) => size,
    }
}

const BODY_BYTES_SHOWN: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_shown_where_it_is_short_text() {
        assert_eq!(body(b"a\x1b\n"), "3 bytes, \"a\\u{1b}\\n\"");
        assert_eq!((body(b""), body(b"\xff")), ("0 bytes".into(), "1 bytes".into()));
        assert_eq!(body(&[b'a'; 2_000]), "2000 bytes");
    }
}
