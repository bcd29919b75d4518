//! The path as the client wrote it, in; the path that routes match, plugins see and endpoints get, out (RFC 3986, section 6.2.2).
//!
//! One path has many spellings, and parsers differ in which they take for the same. So that a rule about one spelling holds for
//! all of them, there is one: letters and digits are not escaped, `.` and `..` are resolved, slashes do not follow each
//! other. What would be one path here and another one behind us is refused.

use std::borrow::Cow;

use http::uri::PathAndQuery;
use palisade_config::PathPolicy;

use crate::error::RequestError;

/// The target by this policy; the query stays as it is.
///
/// # Errors
/// [`RequestError::Path`] where the path has no one reading, or where it is not in its normal form and the policy is to refuse.
pub(super) fn apply(policy: PathPolicy, target: PathAndQuery) -> Result<PathAndQuery, RequestError> {
    let path = target.path();
    if policy == PathPolicy::Keep || path == "*" || is_plain(path.as_bytes()) {
        return Ok(target);
    }
    let normal = normal(path).ok_or(RequestError::Path)?;
    if normal == path {
        return Ok(target);
    }
    if policy == PathPolicy::Refuse {
        return Err(RequestError::Path);
    }
    let whole = match target.query() {
        Some(query) => format!("{normal}?{query}"),
        None => normal,
    };
    PathAndQuery::from_maybe_shared(whole.into_bytes()).map_err(|_| RequestError::Path)
}

/// Whether it is in its normal form without a closer look. Nearly every path is.
fn is_plain(path: &[u8]) -> bool {
    let mut after_slash = false;
    for byte in path {
        match byte {
            b'%' | b'\\' => return false,
            b'/' | b'.' if after_slash => return false,
            _ => after_slash = *byte == b'/',
        }
    }
    true
}

/// The normal form; none where there is none.
fn normal(path: &str) -> Option<String> {
    let unescaped = unescaped(path)?;
    let mut segments: Vec<&str> = Vec::new();
    let mut is_open = true;
    for segment in unescaped.strip_prefix('/')?.split('/') {
        is_open = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop()?;
            }
            segment if hides_dots(segment) => return None,
            segment => segments.push(segment),
        }
    }
    let mut normal = String::with_capacity(unescaped.len());
    for segment in &segments {
        normal.push('/');
        normal.push_str(segment);
    }
    // The last one was empty or dots: what is left is a folder (RFC 3986, section 5.2.4, steps 2B and 2C).
    if is_open {
        normal.push('/');
    }
    Some(normal)
}

/// With every escape in upper case, and none of what needs none (RFC 3986, sections 2.3 and 6.2.2). None for an escape that is
/// none, for a NUL, which ends the path for some, and for a `\`, which no path has and some take for a slash.
fn unescaped(path: &str) -> Option<Cow<'_, str>> {
    if path.contains('\\') {
        return None;
    }
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
    }
    let mut text = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        let (digits, after) = after.split_at_checked(2)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        match u8::from_str_radix(digits, 16).ok()? {
            0 => return None,
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => text.push(char::from(byte)),
            _ => {
                text.push('%');
                text.push_str(&digits.to_ascii_uppercase());
            }
        }
        rest = after;
    }
    text.push_str(rest);
    Some(Cow::Owned(text))
}

/// Whether a parser that takes an escaped slash for a slash, or cuts off what follows a semicolon, finds dots to resolve where
/// others find none.
fn hides_dots(segment: &str) -> bool {
    if !segment.contains(['%', ';']) {
        return false;
    }
    let pieces = segment.split("%2F").flat_map(|piece| piece.split("%5C"));
    let uncut =
        |piece: &str| matches!(piece.split(';').next().and_then(|piece| piece.split("%3B").next()), Some("." | ".."));
    pieces.into_iter().any(uncut)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_has_one_spelling() {
        check("/", "/");
        check("/a/b.c?d=/../e%2e//", "/a/b.c?d=/../e%2e//");
        check("/%61%2d%7E/%c3%a9", "/a-~/%C3%A9");
        check("/a/./b/../c", "/a/c");
        check("/a/%2e/b/%2E%2e/c", "/a/c");
        check("/a/..", "/");
        check("/a/b/..?x", "/a/?x");
        check("/a/.", "/a/");
        check("//a///b//", "/a/b/");
        check("/a%2fb", "/a%2Fb");
        check("/.a/..b/c.", "/.a/..b/c.");
        check("/a;b=..;c/d", "/a;b=..;c/d");
        check("/%252e%252e/a", "/%252e%252e/a");
    }

    #[test]
    fn a_path_that_could_be_two_is_refused() {
        for path in [
            "/..",
            "/a/../../b",
            "/%2e%2e/a",
            "/a/..;/b",
            "/a/..%3b/b",
            "/a/.%3Bx/b",
            "/a/.;x/b",
            "/a/..%2fb",
            "/a%2f..%2fb",
            "/a/%2e%2e%5cb",
            "/a%2f.",
            "/a\\b",
            "/a%00",
            "/a%",
            "/a%2",
            "/a%zz",
            "/%u0041",
        ] {
            let target = PathAndQuery::from_static(path);
            assert!(matches!(apply(PathPolicy::Normalize, target.clone()), Err(RequestError::Path)), "{path}");
            assert_eq!(apply(PathPolicy::Keep, target.clone()).expect("it is kept"), target);
        }
    }

    #[track_caller]
    fn check(path: &'static str, expected: &str) {
        let target = PathAndQuery::from_static(path);
        let normal = apply(PathPolicy::Normalize, target.clone()).expect("a path");
        assert_eq!(normal, *expected, "{path}");
        assert_eq!(apply(PathPolicy::Normalize, normal.clone()).expect("a path"), normal, "it is the last form");
        assert_eq!(apply(PathPolicy::Refuse, target.clone()).is_ok(), path == expected, "{path}");
    }

    proptest! {
        /// Whoever reads a path again reads the same one, and finds nothing in it to resolve.
        #[test]
        fn a_normal_path_is_the_last_form(parts in vec(part(), 0..12)) {
            let path = format!("/{}", parts.concat());
            let Ok(target) = PathAndQuery::from_maybe_shared(path.clone().into_bytes()) else { return Ok(()) };
            let Ok(normal) = apply(PathPolicy::Normalize, target) else { return Ok(()) };
            prop_assert_eq!(apply(PathPolicy::Normalize, normal.clone()).ok(), Some(normal.clone()), "{}", path);
            prop_assert!(apply(PathPolicy::Refuse, normal.clone()).is_ok(), "{}", path);
            let segments: Vec<&str> = normal.path().split('/').skip(1).collect();
            let (_, before) = segments.split_last().unwrap_or((&"", &[]));
            prop_assert!(before.iter().all(|segment| !segment.is_empty()), "{} is {}", path, normal);
            prop_assert!(segments.iter().all(|segment| !matches!(*segment, "." | "..")), "{} is {}", path, normal);
        }
    }

    fn part() -> impl Strategy<Value = String> {
        const PARTS: [&str; 16] =
            ["/", ".", "..", "%2e", "%2E", "%2f", "%5c", "\\", ";", "%3b", "%", "%00", "a", "%61", "%c3%a9", "?"];
        prop_oneof![
            9 => prop::sample::select(&PARTS[..]).prop_map(str::to_owned),
            1 => any::<char>().prop_map(String::from)
        ]
    }
}
