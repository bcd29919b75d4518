//! Bytes of a client's choosing, made fit for a log line.

use std::fmt;

/// Prints visible ASCII as it is and everything else as `\xNN`, so that no client writes a line, a field or a terminal
/// command of its own into the log. Cut with `…` beyond [`BYTES_MAX`] bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Escaped<'a>(pub(crate) &'a [u8]);

/// How many bytes are printed at most, before escaping.
pub(crate) const BYTES_MAX: usize = 2048;

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, cut) = match self.0.get(..BYTES_MAX) {
            Some(shown) if shown.len() < self.0.len() => (shown, "…"),
            Some(_) | None => (self.0, ""),
        };
        for run in shown.split_inclusive(|byte| !is_plain(*byte)) {
            let (plain, odd) = match run.split_last() {
                Some((odd, plain)) if !is_plain(*odd) => (plain, Some(odd)),
                Some(_) | None => (run, None),
            };
            out.write_str(str::from_utf8(plain).unwrap_or_default())?;
            if let Some(odd) = odd {
                write!(out, "\\x{odd:02x}")?;
            }
        }
        out.write_str(cut)
    }
}

/// A quote would end a field and a backslash begin an escape, so both are escaped.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'"' && byte != b'\\'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_visible_ascii_is_printed_as_it_is() {
        check(b"", "");
        check(b"/a?b=c&d=%20", "/a?b=c&d=%20");
        check(b"/a\r\nstatus=200", r"/a\x0d\x0astatus=200");
        check(b"/\x1b[31m", r"/\x1b[31m");
        check(b"a b\"c\\d", r"a\x20b\x22c\x5cd");
        check("/ä".as_bytes(), r"/\xc3\xa4");
        check(&[0xff, 0x00, b'a'], r"\xff\x00a");
    }

    #[test]
    fn a_long_text_is_cut() {
        check(&[b'a'; BYTES_MAX], &"a".repeat(BYTES_MAX));
        check(&[b'a'; BYTES_MAX + 1], &format!("{}…", "a".repeat(BYTES_MAX)));
        check(&[0xff; 10_000], &format!("{}…", r"\xff".repeat(BYTES_MAX)));
    }

    fn check(bytes: &[u8], expected: &str) {
        assert_eq!(Escaped(bytes).to_string(), expected);
    }
}
