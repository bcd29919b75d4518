//! Paths, prefixes and patterns, in; whether a path is among them, out. The path is one that [`PathReader`] has read.
//!
//! [`PathReader`]: crate::path::PathReader

use schemars::JsonSchema;
use serde::Deserialize;

use crate::path::{PathReader, percent_decoded};

/// The beginning of a path as rules see it: decoded and resolved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub(crate) struct PathPrefix(String);

/// A path as rules see it: decoded and resolved.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub(crate) struct ExactPath(String);

impl TryFrom<String> for PathPrefix {
    type Error = String;

    /// Refuses what no path begins with once it is decoded and resolved: a rule with it would never match.
    fn try_from(text: String) -> Result<Self, String> {
        if !text.starts_with('/') {
            return Err(format!("{text:?} does not begin with \"/\""));
        }
        if text.bytes().any(|byte| byte.is_ascii_control() || byte == b'\\') {
            return Err(format!("{text:?} has a control character or a backslash, which no well-formed path has"));
        }
        let inner = text.rsplit_once('/').map_or("", |(inner, _)| inner);
        if inner.split('/').skip(1).any(is_dots) || has_escape(text.as_bytes()) {
            return Err(unseen(&text));
        }
        Ok(Self(text))
    }
}

impl TryFrom<String> for ExactPath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self(text));
        }
        let PathPrefix(text) = PathPrefix::try_from(text)?;
        match text.rsplit('/').next() {
            Some("." | "..") => Err(unseen(&text)),
            _ => Ok(Self(text)),
        }
    }
}

fn is_dots(segment: &str) -> bool {
    matches!(segment, "" | "." | "..")
}

fn has_escape(path: &[u8]) -> bool {
    path.windows(3).any(|bytes| matches!(bytes, [b'%', high, low] if percent_decoded([*high, *low]).is_some()))
}

fn unseen(text: &str) -> String {
    let mut reader = PathReader::default();
    let seen = String::from_utf8_lossy(reader.read(text).bytes).into_owned();
    format!("{text:?} would never match: rules see this path as {seen:?}")
}

/// Paths, looked up by binary search.
#[derive(Debug)]
pub(crate) struct PathSet(Vec<String>);

impl PathSet {
    /// Collects the paths.
    pub(crate) fn new(paths: impl IntoIterator<Item = ExactPath>) -> Self {
        let mut paths: Vec<_> = paths.into_iter().map(|ExactPath(path)| path).collect();
        paths.sort_unstable();
        Self(paths)
    }

    /// Whether the path is among them.
    pub(crate) fn contains(&self, path: &[u8]) -> bool {
        self.0.binary_search_by(|candidate| candidate.as_bytes().cmp(path)).is_ok()
    }
}

/// Prefixes, none of which begins with another: then the one that a path begins with, if any, is the last in order that
/// is not after the path, and one binary search finds it.
#[derive(Debug)]
pub(crate) struct PrefixSet(Vec<String>);

impl PrefixSet {
    /// Collects the prefixes, without those that a shorter one covers.
    pub(crate) fn new(prefixes: impl IntoIterator<Item = PathPrefix>) -> Self {
        let mut prefixes: Vec<_> = prefixes.into_iter().map(|PathPrefix(prefix)| prefix).collect();
        prefixes.sort_unstable();
        prefixes.dedup_by(|longer, shorter| longer.starts_with(shorter.as_str()));
        Self(prefixes)
    }

    /// Whether the path begins with one of them.
    pub(crate) fn covers(&self, path: &[u8]) -> bool {
        let after = self.0.partition_point(|prefix| prefix.as_bytes() <= path);
        let last = after.checked_sub(1).and_then(|last| self.0.get(last));
        last.is_some_and(|prefix| path.starts_with(prefix.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prefix(text: &str) -> PathPrefix {
        PathPrefix::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn a_prefix_is_plain_text() {
        let set = PrefixSet::new(["/admin", "/.", "/a b/"].map(prefix));
        for path in ["/admin", "/admin/x", "/administrator", "/.git", "/a b/c"] {
            assert!(set.covers(path.as_bytes()), "{path}");
        }
        for path in ["/", "/adm", "/Admin", "/a b", "/x/admin"] {
            assert!(!set.covers(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn an_exact_path_is_that_path_alone() {
        let set = PathSet::new(["/b", "*", "/a/"].map(|text| ExactPath::try_from(text.to_owned()).unwrap()));
        assert!(set.contains(b"/a/") && set.contains(b"/b") && set.contains(b"*"));
        assert!(!set.contains(b"/a") && !set.contains(b"/b/") && !set.contains(b"/"));
    }

    #[test]
    fn what_would_never_match_is_refused() {
        let prefix =
            |text: &str, expected: &str| assert_eq!(PathPrefix::try_from(text.to_owned()).unwrap_err(), expected);
        prefix("admin", "\"admin\" does not begin with \"/\"");
        prefix("", "\"\" does not begin with \"/\"");
        prefix("/%61dmin", "\"/%61dmin\" would never match: rules see this path as \"/admin\"");
        prefix("//admin", "\"//admin\" would never match: rules see this path as \"/admin\"");
        prefix("/a/../b", "\"/a/../b\" would never match: rules see this path as \"/b\"");
        prefix("/a\\b", "\"/a\\\\b\" has a control character or a backslash, which no well-formed path has");
        let exact =
            |text: &str, expected: &str| assert_eq!(ExactPath::try_from(text.to_owned()).unwrap_err(), expected);
        exact("/a/..", "\"/a/..\" would never match: rules see this path as \"/\"");
    }

    proptest! {
        #[test]
        fn covering_is_beginning_with_any(
            prefixes in prop::collection::vec("/[ab]{0,4}", 0..12),
            path in "/[ab]{0,6}",
        ) {
            let expected = prefixes.iter().any(|prefix| path.starts_with(prefix));
            let set = PrefixSet::new(prefixes.iter().map(|text| prefix(text)));
            prop_assert_eq!(set.covers(path.as_bytes()), expected);
        }
    }
}
