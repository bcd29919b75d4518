//! The path of a request, as limits look at it: what upstreams take for the same path is the same path here.

/// Reads paths one after the other, and keeps its memory from one to the next.
#[derive(Debug, Default)]
pub(crate) struct PathReader {
    read: String,
}

impl PathReader {
    /// The path with every percent-encoded letter decoded, once, without empty segments and with `.` and `..` resolved. So
    /// `//login`, `/x/../login`, `/%6cogin` and `/login/` are `/login`. Valid until the next one is read.
    pub(crate) fn read<'a>(&'a mut self, path: &'a str) -> &'a str {
        if is_plain(path) {
            return path;
        }
        let decoded = decoded(path);
        self.read.clear();
        for segment in decoded.split('/') {
            match segment {
                "" | "." => {}
                ".." => self.read.truncate(self.read.rfind('/').unwrap_or_default()),
                segment => {
                    self.read.push('/');
                    self.read.push_str(segment);
                }
            }
        }
        if self.read.is_empty() { "/" } else { &self.read }
    }
}

/// Whether a path, as it was read, is this one or below it.
pub(crate) fn is_at_or_below(path: &str, above: &str) -> bool {
    let above = above.trim_end_matches('/');
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether there is nothing to do. So it is with nearly every path.
fn is_plain(path: &str) -> bool {
    let rooted = path.strip_prefix('/').is_some_and(|rest| !rest.ends_with('/'));
    path == "/" || rooted && !path.contains('%') && !path.contains("//") && !path.contains("/.")
}

/// What is no escape, or not of UTF-8, stays as it was written or becomes U+FFFD: no two paths that upstreams tell apart
/// have to be told apart here.
fn decoded(path: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(path.len()), path.as_bytes());
    while let [byte, after @ ..] = rest {
        (rest, _) = match (byte, after) {
            (b'%', [high, low, beyond @ ..]) if let Some(byte) = hex(*high, *low) => (beyond, bytes.push(byte)),
            _ => (after, bytes.push(*byte)),
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let [high, low] = [high, low].map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_path_to_an_upstream_is_read_as_one() {
        for path in
            ["/login", "//login", "/login/", "/x/../login", "/./login", "/%6cogin", "/%2E%2e/login", "/x%2f../login"]
        {
            check(path, "/login");
        }
        for path in ["/", "", "//", "/.", "/a/..", "/../.."] {
            check(path, "/");
        }
        check("/a/b", "/a/b");
        check("/.well-known/x", "/.well-known/x");
        check("/50%/%zz", "/50%/%zz");
        check("/%c3%bc", "/ü");
        check("*", "/*");
    }

    #[test]
    fn a_path_is_at_or_below_another_by_whole_segments() {
        for (path, above, expected) in [
            ("/api", "/api", true),
            ("/api/x", "/api", true),
            ("/apis", "/api", false),
            ("/", "/api", false),
            ("/anything", "/", true),
            ("/", "/", true),
        ] {
            assert_eq!(is_at_or_below(path, above), expected, "{path} {above}");
        }
    }

    #[track_caller]
    fn check(path: &str, expected: &str) {
        let mut reader = PathReader::default();
        reader.read("/an/../earlier/one");
        assert_eq!(reader.read(path), expected, "{path}");
    }
}
