//! The path that the client wrote, in; the path that rules look at, out: `/a/./%62//c/../d` is `/a/b/d`.
//!
//! Upstreams decode `%61`, resolve `..` and mostly take `//` for `/`, so a rule that looked at the path as it was
//! written could be walked around. What rules see is what an upstream will make of it, in this order: every
//! percent-encoded byte decoded once, slashes that follow each other collapsed, dot segments resolved (RFC 3986,
//! sections 6.2.2 and 5.2.4). Where upstreams do not agree about the meaning, the path is [`Malformed`], and what is
//! malformed stays as it was written.

/// Reads paths. Keeps its memory from one path to the next, so that reading allocates nothing in the long run.
#[derive(Debug, Default)]
pub(crate) struct PathReader {
    decoded: Vec<u8>,
    resolved: Vec<u8>,
    malformed: Option<Malformed>,
}

impl PathReader {
    /// What rules look at. `*` (`OPTIONS *`) stays, and the empty path (`CONNECT`) is `/`.
    pub(crate) fn read<'a>(&'a mut self, path: &'a str) -> Path<'a> {
        self.malformed = None;
        let bytes = match path {
            "" => b"/",
            "*" => b"*",
            path if is_plain(path.as_bytes()) => path.as_bytes(),
            path => {
                self.decode(path.as_bytes());
                self.resolve();
                &self.resolved
            }
        };
        Path { bytes, malformed: self.malformed }
    }

    fn decode(&mut self, path: &[u8]) {
        self.decoded.clear();
        let mut rest = path;
        while let Some((first, after)) = rest.split_first() {
            let read = match (first, after.split_first_chunk()) {
                (b'%', Some((digits, after))) => decode_escape(*digits).map(|byte| (byte, after)),
                (b'%', None) => Err(Malformed::Escape),
                (byte, _) => literal(*byte).map(|byte| (byte, after)),
            };
            let (byte, after) = read.unwrap_or_else(|malformed| {
                self.malformed.get_or_insert(malformed);
                (*first, after)
            });
            self.decoded.push(byte);
            rest = after;
        }
    }

    fn resolve(&mut self) {
        self.resolved.clear();
        let path = self.decoded.strip_prefix(b"/").unwrap_or_else(|| {
            self.malformed.get_or_insert(Malformed::Climb);
            &self.decoded
        });
        let mut open = true;
        for segment in path.split(|byte| *byte == b'/') {
            open = matches!(segment, b"" | b"." | b"..");
            if segment == b".." {
                let parent = self.resolved.iter().rposition(|byte| *byte == b'/');
                self.malformed = self.malformed.or(parent.is_none().then_some(Malformed::Climb));
                self.resolved.truncate(parent.unwrap_or(0));
            }
            // Path parameters: Java servlet containers cut them off before they resolve the dots.
            if segment.starts_with(b".;") || segment.starts_with(b"..;") {
                self.malformed.get_or_insert(Malformed::Climb);
            }
            if !open {
                self.resolved.push(b'/');
                self.resolved.extend_from_slice(segment);
            }
        }
        // The last segment was empty or dots: what is left is a directory (RFC 3986, section 5.2.4, steps 2B and 2C).
        if open {
            self.resolved.push(b'/');
        }
    }
}

/// A path as rules look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Path<'a> {
    /// Decoded and resolved. What is malformed stays as it was written.
    pub(crate) bytes: &'a [u8],
    /// The first thing in it that upstreams would not agree about.
    pub(crate) malformed: Option<Malformed>,
}

/// Why a path has no one meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// `%` without two hexadecimal digits.
    Escape,
    /// `%2F`, `%5C` or `\`: a separator to some upstreams and a letter to others.
    Separator,
    /// A control character, encoded or not, a space or a `#`.
    Character,
    /// `..` above the root, `/..;x/`, or a path that does not begin with `/`.
    Climb,
}

/// Whether the path already is what rules look at. Nearly every path is.
fn is_plain(path: &[u8]) -> bool {
    let mut after_slash = false;
    for byte in path {
        match byte {
            b'%' | b'\\' | b'#' | 0..=b' ' | 0x7f => return false,
            b'/' | b'.' if after_slash => return false,
            _ => after_slash = *byte == b'/',
        }
    }
    path.first() == Some(&b'/')
}

fn decode_escape(digits: [u8; 2]) -> Result<u8, Malformed> {
    match percent_decoded(digits) {
        None => Err(Malformed::Escape),
        Some(b'/' | b'\\') => Err(Malformed::Separator),
        Some(0..=0x1f | 0x7f) => Err(Malformed::Character),
        Some(byte) => Ok(byte),
    }
}

fn literal(byte: u8) -> Result<u8, Malformed> {
    match byte {
        b'\\' => Err(Malformed::Separator),
        0..=b' ' | b'#' | 0x7f => Err(Malformed::Character),
        byte => Ok(byte),
    }
}

/// The byte that two hexadecimal digits stand for.
pub(crate) fn percent_decoded(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(path: &str, expected: &str, malformed: Option<Malformed>) {
        let mut reader = PathReader::default();
        let seen = reader.read(path);
        assert_eq!((seen.bytes.escape_ascii().to_string().as_str(), seen.malformed), (expected, malformed), "{path}");
    }

    #[test]
    fn a_plain_path_stays() {
        for path in ["/", "/index.html", "/a/b/", "/a+b;c=d,e!$&()*:@~_-", "*"] {
            check(path, path, None);
        }
        check("", "/", None);
    }

    #[test]
    fn slashes_collapse() {
        check("//admin", "/admin", None);
        check("/a///b//", "/a/b/", None);
        check("//", "/", None);
    }

    #[test]
    fn dot_segments_are_resolved() {
        check("/a/./b", "/a/b", None);
        check("/admin/../x", "/x", None);
        check("/x/../admin", "/admin", None);
        check("/a/b/..", "/a/", None);
        check("/a/.", "/a/", None);
        check("/a/..", "/", None);
        check("/x//../admin", "/admin", None);
        check("/.hidden", "/.hidden", None);
        check("/...", "/...", None);
    }

    #[test]
    fn escapes_are_decoded_once_and_before_dots_are_resolved() {
        check("/%61dmin", "/admin", None);
        check("/a/%2e%2E/b", "/b", None);
        check("/a%20b", "/a b", None);
        check("/a%2Bb%3f", "/a+b?", None);
        check("/%2561dmin", "/%61dmin", None);
        check("/caf%C3%A9", r"/caf\xc3\xa9", None);
        check("/%ff", r"/\xff", None);
    }

    #[test]
    fn what_upstreams_do_not_agree_about_is_malformed_and_stays_as_written() {
        for path in ["/%", "/%4", "/%zz", "/a%+1"] {
            check(path, path, Some(Malformed::Escape));
        }
        for path in ["/a%2Fb", "/a%2fb", "/a%5cb"] {
            check(path, path, Some(Malformed::Separator));
        }
        check(r"/a\b", r"/a\\b", Some(Malformed::Separator));
        for path in ["/%00", "/a%0a", "/%7f", "/a b", "/a#b"] {
            check(path, path, Some(Malformed::Character));
        }
        check("/a%2Fb/./%61", "/a%2Fb/a", Some(Malformed::Separator));
    }

    #[test]
    fn climbing_above_the_root_is_malformed_and_ends_there() {
        check("/..", "/", Some(Malformed::Climb));
        check("/%2E%2e/x", "/x", Some(Malformed::Climb));
        check("/a/../../admin", "/admin", Some(Malformed::Climb));
        check("admin", "/admin", Some(Malformed::Climb));
        check("/x/..;/admin", "/x/..;/admin", Some(Malformed::Climb));
        check("/x/.;y/admin", "/x/.;y/admin", Some(Malformed::Climb));
    }

    #[test]
    fn a_reader_forgets_the_path_before() {
        let mut reader = PathReader::default();
        assert_eq!(reader.read("/long/%61/%2f/was/here").malformed, Some(Malformed::Separator));
        assert_eq!(reader.read("/%62"), Path { bytes: b"/b", malformed: None });
    }

    /// Paths in which everything that has a meaning is frequent.
    fn paths() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(vec!["/", "/", ".", "%2e", "%61", "b", "c", "%2", "%", ";"]), 0..14)
            .prop_map(|parts| format!("/{}", parts.concat()))
    }

    proptest! {
        #[test]
        fn no_dot_segments_or_double_slashes_are_left(path in paths()) {
            let mut reader = PathReader::default();
            let seen = reader.read(&path).bytes;
            let text = seen.escape_ascii().to_string();
            prop_assert!(text.starts_with('/') && !text.contains("//"), "{text}");
            prop_assert!(!text.split('/').any(|segment| segment == "." || segment == ".."), "{text}");
        }

        #[test]
        fn encoding_a_letter_changes_nothing(path in "/[a-c./;]{0,12}", at in 1..14_usize) {
            let (head, tail) = path.split_at_checked(at).unwrap_or((&path, ""));
            let encoded = head.to_owned() + &tail.replace('c', "%63");
            let (mut one, mut other) = (PathReader::default(), PathReader::default());
            prop_assert_eq!(one.read(&path), other.read(&encoded));
        }

        #[test]
        fn a_plain_path_is_what_the_long_way_gives(path in "/[a-c./]{0,12}") {
            let mut long_way = PathReader::default();
            long_way.decode(path.as_bytes());
            long_way.resolve();
            let mut reader = PathReader::default();
            let seen = reader.read(&path);
            prop_assert_eq!(seen, Path { bytes: &long_way.resolved, malformed: long_way.malformed });
        }
    }
}
