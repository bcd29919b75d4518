//! Header values, which are bytes, and what can be wrong with a change to a head.

use std::{fmt, ops::Deref};

use crate::{Error, bindings::capabilities::palisade::plugin::types};

/// The value of a header: bytes that are mostly, but not always, UTF-8.
///
/// ```
/// use palisade_sdk::HeaderValue;
///
/// let value = HeaderValue::from(&b"caf\xe9"[..]);
/// assert_eq!(value.to_str(), None);
/// assert_eq!(value.as_bytes(), b"caf\xe9");
/// assert_eq!(value.to_string(), "caf\u{fffd}");
/// ```
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HeaderValue(Vec<u8>);

impl HeaderValue {
    /// The bytes as they were sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text, or none where the bytes are not UTF-8.
    pub fn to_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl Deref for HeaderValue {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// The text, with U+FFFD for what is not UTF-8.
impl fmt::Display for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(&self.0).fmt(f)
    }
}

impl fmt::Debug for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl AsRef<[u8]> for HeaderValue {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for HeaderValue {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for HeaderValue {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<&str> for HeaderValue {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl PartialEq<str> for HeaderValue {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for HeaderValue {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<[u8]> for HeaderValue {
    fn eq(&self, other: &[u8]) -> bool {
        self.0 == other
    }
}

/// Why a change to a head was refused. The head is as it was before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HeadError {
    /// Not a header name (RFC 9110, section 5.1).
    InvalidName,
    /// Not a header value (RFC 9110, section 5.5), target, authority or status.
    InvalidValue,
    /// A header that frames or routes the message and so belongs to the host, such as `content-length` or `host`.
    Reserved,
    /// The head would pass its limit on the number of headers or on bytes.
    TooLarge,
    /// This head cannot be changed in this phase.
    ReadOnly,
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidName => "is not a header name",
            Self::InvalidValue => "is not a valid value",
            Self::Reserved => "is a header that belongs to the host",
            Self::TooLarge => "would pass the limit of the head",
            Self::ReadOnly => "cannot be changed in this phase",
        })
    }
}

impl std::error::Error for HeadError {}

impl From<HeadError> for Error {
    fn from(error: HeadError) -> Self {
        Self::new(format!("a change to the head was refused: it {error}"))
    }
}

impl From<types::HeadError> for HeadError {
    fn from(error: types::HeadError) -> Self {
        match error {
            types::HeadError::InvalidName => Self::InvalidName,
            types::HeadError::InvalidValue => Self::InvalidValue,
            types::HeadError::Reserved => Self::Reserved,
            types::HeadError::TooLarge => Self::TooLarge,
            types::HeadError::ReadOnly => Self::ReadOnly,
        }
    }
}

/// The first cookie of this name in the values of `cookie` (RFC 6265, section 4.2.1; HTTP/2 may split them over several).
pub(crate) fn cookie(values: &[Vec<u8>], name: &str) -> Option<String> {
    let mut pairs = values.iter().flat_map(|value| value.split(|byte| *byte == b';'));
    pairs.find_map(|pair| {
        let (key, value) = std::str::from_utf8(pair).ok()?.split_once('=')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

pub(crate) fn values(values: Vec<Vec<u8>>) -> Vec<HeaderValue> {
    values.into_iter().map(HeaderValue).collect()
}

pub(crate) fn fields(fields: Vec<(String, Vec<u8>)>) -> Vec<(String, HeaderValue)> {
    fields.into_iter().map(|(name, value)| (name, HeaderValue(value))).collect()
}

/// A target or an authority: the host lets none through that is not UTF-8.
pub(crate) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_in_any_of_the_values() {
        check(&["a=1; b=2", "c=3"], "a", Some("1"));
        check(&["a=1; b=2", "c=3"], "b", Some("2"));
        check(&["a=1; b=2", "c=3"], "c", Some("3"));
        check(&["a=1; b=2", "c=3"], "d", None);
        check(&["a=x=y"], "a", Some("x=y"));
        check(&["ab=1; a=2"], "a", Some("2"));
        check(&["a=1;a=2"], "a", Some("1"));
        check(&["a"], "a", None);
        check(&[], "a", None);
    }

    #[test]
    fn a_pair_that_is_not_text_hides_no_other() {
        assert_eq!(cookie(&[b"a=\xff; b=2".to_vec()], "b").as_deref(), Some("2"));
        assert_eq!(cookie(&[b"a=\xff; b=2".to_vec()], "a"), None);
    }

    #[test]
    fn a_value_shows_its_bytes_for_debugging() {
        assert_eq!(format!("{:?}", HeaderValue::from(&b"a\xff\""[..])), r#""a\xff\"""#);
    }

    #[track_caller]
    fn check(values: &[&str], name: &str, expected: Option<&str>) {
        let values: Vec<_> = values.iter().map(|value| value.as_bytes().to_vec()).collect();
        assert_eq!(cookie(&values, name).as_deref(), expected, "{name} in {values:?}");
    }
}
