//! What a filter may do to a head: one set of rules for every filter, sandboxed or not.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;

use crate::RequestHead;

/// How large a head may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// The number of header lines.
    pub headers: usize,
    /// The bytes of all names and values together.
    pub bytes: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { headers: 100, bytes: 64 << 10 }
    }
}

/// Why a change to a head was refused; the head is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// RFC 9110, section 5.1.
    #[error("is not a header name")]
    InvalidName,
    /// RFC 9110, section 5.5.
    #[error("is not a header value, target, authority or status")]
    InvalidValue,
    /// The header frames or routes the message.
    #[error("is a header that only the host may change")]
    Reserved,
    /// A limit of [`HeadLimits`].
    #[error("would make the head too large")]
    TooLarge,
    /// The head has been forwarded already.
    #[error("cannot be changed in this phase")]
    ReadOnly,
}

/// Replaces all values of a header by one.
///
/// # Errors
/// See [`HeadError`]; nothing has changed then.
pub fn set(headers: &mut HeaderMap, limits: HeadLimits, name: &str, value: &[u8]) -> Result<(), HeadError> {
    let (name, value) = (writable(name)?, parse_value(value)?);
    room(headers, limits, &name, &value)?;
    headers.insert(name, value);
    Ok(())
}

/// Adds a value after those that a header has.
///
/// # Errors
/// See [`HeadError`]; nothing has changed then.
pub fn append(headers: &mut HeaderMap, limits: HeadLimits, name: &str, value: &[u8]) -> Result<(), HeadError> {
    let (name, value) = (writable(name)?, parse_value(value)?);
    room(headers, limits, &name, &value)?;
    headers.append(name, value);
    Ok(())
}

/// Removes all values of a header, if there are any.
///
/// # Errors
/// See [`HeadError`]; nothing has changed then.
pub fn remove(headers: &mut HeaderMap, name: &str) -> Result<(), HeadError> {
    headers.remove(writable(name)?);
    Ok(())
}

/// Replaces path and query by an origin-form target (RFC 9112, section 3.2.1).
///
/// # Errors
/// [`HeadError::InvalidValue`] for anything but a path that starts with `/`, in visible ASCII, without a fragment.
pub fn set_target(request: &mut RequestHead, target: &[u8], limits: HeadLimits) -> Result<(), HeadError> {
    if target.len() > limits.bytes {
        return Err(HeadError::TooLarge);
    }
    if target.first() != Some(&b'/') || target.iter().any(|byte| !byte.is_ascii_graphic() || *byte == b'#') {
        return Err(HeadError::InvalidValue);
    }
    request.target = PathAndQuery::try_from(target).map_err(|_| HeadError::InvalidValue)?;
    Ok(())
}

/// Replaces host and port (RFC 9110, section 7.2).
///
/// # Errors
/// [`HeadError::InvalidValue`] for anything that is not `host` or `host:port`; user information is refused.
pub fn set_authority(request: &mut RequestHead, authority: &[u8]) -> Result<(), HeadError> {
    request.authority = Some(parse_authority(authority).ok_or(HeadError::InvalidValue)?);
    Ok(())
}

/// An authority without user information, as a header value; none if it is not one.
#[must_use]
pub fn parse_authority(authority: &[u8]) -> Option<HeaderValue> {
    HeaderValue::from_bytes(authority).ok().filter(|_| is_authority(authority))
}

/// Whether these bytes are an authority without user information.
#[must_use]
pub fn is_authority(authority: &[u8]) -> bool {
    is_plain_authority(authority) || is_any_authority(authority).is_some()
}

/// Whether it is one at first sight, as nearly all are: a name or an IPv4 address, and perhaps a port.
fn is_plain_authority(authority: &[u8]) -> bool {
    let mut parts = authority.splitn(2, |byte| *byte == b':');
    let host = parts.next().unwrap_or_default();
    let number = |port: &[u8]| port.iter().fold(0, |number, digit| 10 * number + u32::from(digit - b'0'));
    let is_port = |port: &[u8]| {
        matches!(port.len(), 1..=5) && port.iter().all(u8::is_ascii_digit) && number(port) <= u32::from(u16::MAX)
    };
    let is_host = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    !host.is_empty() && host.iter().all(is_host) && parts.next().is_none_or(is_port)
}

fn is_any_authority(authority: &[u8]) -> Option<()> {
    let parsed = http::uri::Authority::try_from(authority).ok()?;
    if parsed.host().is_empty() || authority.contains(&b'@') {
        return None;
    }
    // A port, if there is a colon for one, is a number that fits.
    let after_host = parsed.as_str().get(parsed.host().len()..)?;
    (after_host.is_empty() || after_host == ":" || parsed.port_u16().is_some()).then_some(())
}

/// Whether a header frames or routes the message and so is the host's alone.
#[must_use]
pub fn is_reserved(name: &HeaderName) -> bool {
    RESERVED.contains(name)
}

pub(crate) const RESERVED: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

fn writable(name: &str) -> Result<HeaderName, HeadError> {
    let name = HeaderName::try_from(name).map_err(|_| HeadError::InvalidName)?;
    if is_reserved(&name) { Err(HeadError::Reserved) } else { Ok(name) }
}

fn parse_value(value: &[u8]) -> Result<HeaderValue, HeadError> {
    HeaderValue::from_bytes(value).map_err(|_| HeadError::InvalidValue)
}

fn room(headers: &HeaderMap, limits: HeadLimits, name: &HeaderName, value: &HeaderValue) -> Result<(), HeadError> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let fits = headers.len() < limits.headers && bytes + name.as_str().len() + value.len() <= limits.bytes;
    if fits { Ok(()) } else { Err(HeadError::TooLarge) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_set_only_where_it_is_well_formed_writable_and_fits() {
        check("x-ok", b"1", Ok(()));
        check("x-bytes", &[0xff, 0x80], Ok(()));
        check("x bad", b"1", Err(HeadError::InvalidName));
        check("", b"1", Err(HeadError::InvalidName));
        check("x-split", b"a\r\nb: c", Err(HeadError::InvalidValue));
        check("Content-Length", b"3", Err(HeadError::Reserved));
        check("transfer-encoding", b"chunked", Err(HeadError::Reserved));
        check("keep-alive", b"1", Err(HeadError::Reserved));
        check("x-long", &[b'a'; 100], Err(HeadError::TooLarge));
    }

    fn check(name: &str, value: &[u8], expected: Result<(), HeadError>) {
        let mut headers = HeaderMap::new();
        let limits = HeadLimits { headers: 2, bytes: 64 };
        assert_eq!(set(&mut headers, limits, name, value), expected, "{name}");
        assert_eq!(headers.len(), usize::from(expected.is_ok()), "{name}");
    }

    #[test]
    fn the_number_of_headers_is_bounded() {
        let mut headers = HeaderMap::new();
        let limits = HeadLimits { headers: 2, bytes: 640 };
        assert_eq!(append(&mut headers, limits, "a", b"1"), Ok(()));
        assert_eq!(append(&mut headers, limits, "a", b"2"), Ok(()));
        assert_eq!(append(&mut headers, limits, "a", b"3"), Err(HeadError::TooLarge));
        assert_eq!(headers.len(), 2);
    }

    #[test]
    fn a_target_is_origin_form() {
        for (target, fits) in [
            ("/a?b=c", true),
            ("a", false),
            ("http://x/", false),
            ("/a b", false),
            ("/a#b", false),
            ("/a\r\nx: y", false),
            ("", false),
        ] {
            let mut request = RequestHead::default();
            assert_eq!(set_target(&mut request, target.as_bytes(), HeadLimits::default()).is_ok(), fits, "{target:?}");
        }
    }

    #[test]
    fn an_authority_is_a_host_and_maybe_a_port() {
        for (authority, fits) in [
            ("www.foobar.com", true),
            ("www.foobar.com:8443", true),
            ("[::1]:8443", true),
            ("user@host", false),
            ("host:port", false),
            ("127.0.0.1:65535", true),
            ("host:65536", false),
            ("host:99999", false),
            ("host:099999", false),
            ("host:", true),
            ("", false),
            ("a/b", false),
            ("a b", false),
        ] {
            assert_eq!(parse_authority(authority.as_bytes()).is_some(), fits, "{authority:?}");
        }
    }
}
