//! Switching protocols (RFC 9110, section 7.8): what a client asks for, what of it is passed on, and what grants it.

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode, Version, response};

use super::hop;
use crate::error::RequestError;

/// RFC 6455, section 4.1: its handshake is a GET.
const WEBSOCKET: &[u8] = b"websocket";

/// The protocols that a request asks to switch to, in the client's order. A request over HTTP/1.0 asks for nothing, and
/// neither does one that does not say that `Upgrade` is for this hop.
pub(super) fn asked(headers: &HeaderMap, version: Version) -> Option<HeaderValue> {
    let mut fields = headers.get_all(header::UPGRADE).iter();
    let first = fields.next()?;
    if version != Version::HTTP_11 || !hop::lists(headers, &header::CONNECTION, "upgrade") {
        return None;
    }
    let mut list = first.as_bytes().to_vec();
    for field in fields {
        list.extend_from_slice(b", ");
        list.extend_from_slice(field.as_bytes());
    }
    HeaderValue::from_bytes(&list).ok()
}

/// The first of the asked protocols that is allowed, as the operator writes it.
pub(crate) fn chosen(asked: &HeaderValue, method: &Method, allowed: &[HeaderValue]) -> Option<HeaderValue> {
    asked.as_bytes().split(|byte| *byte == b',').find_map(|protocol| {
        let protocol = protocol.trim_ascii();
        let is_for_get = is_websocket(protocol);
        let found = allowed.iter().find(|allowed| allowed.as_bytes().eq_ignore_ascii_case(protocol));
        found.filter(|_| !is_for_get || method == Method::GET).cloned()
    })
}

/// Whether this is the name of WebSocket.
pub(super) fn is_websocket(protocol: &[u8]) -> bool {
    protocol.eq_ignore_ascii_case(WEBSOCKET)
}

/// Whether the head of an endpoint's answer grants the protocol that was asked for, and leaves no doubt of it.
///
/// # Errors
/// It has status 101 and does not.
pub(super) fn check_granted(parts: &response::Parts, protocol: &HeaderValue) -> Result<(), RequestError> {
    let refused = |why: &str| Err(RequestError::Answer(format!("status 101 {why}")));
    let mut granted = parts.headers.get_all(header::UPGRADE).iter();
    let is_one =
        granted.next().is_some_and(|granted| granted.as_bytes().trim_ascii().eq_ignore_ascii_case(protocol.as_bytes()))
            && granted.next().is_none();
    if parts.version != Version::HTTP_11 || parts.status != StatusCode::SWITCHING_PROTOCOLS {
        return refused("in a version of HTTP that has none");
    }
    if !is_one || !hop::lists(&parts.headers, &header::CONNECTION, "upgrade") {
        return refused("for a protocol that was not asked for");
    }
    // RFC 9110, section 8.6, and RFC 9112, section 6.1: whoever sends these means a body.
    if parts.headers.contains_key(header::CONTENT_LENGTH) || parts.headers.contains_key(header::TRANSFER_ENCODING) {
        return refused("with a body");
    }
    Ok(())
}

/// Writes the protocol into a head that goes on.
pub(crate) fn set(headers: &mut HeaderMap, protocol: &HeaderValue) {
    headers.append(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, protocol.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for field in fields {
            let (name, value) = field.split_once(": ").expect("a field");
            let name: header::HeaderName = name.parse().expect("a name");
            headers.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        headers
    }

    #[test]
    fn one_protocol_that_is_asked_for_and_allowed_is_passed_on() {
        let both = ["connection: upgrade", "upgrade: websocket"];
        check("GET", Version::HTTP_11, &both, Some("websocket"));
        check("GET", Version::HTTP_11, &["connection: Keep-Alive, Upgrade", "upgrade: WebSocket"], Some("websocket"));
        check("POST", Version::HTTP_11, &both, None);
        check("GET", Version::HTTP_10, &both, None);
        check("GET", Version::HTTP_2, &both, None);
        check("GET", Version::HTTP_11, &["upgrade: websocket"], None);
        check("GET", Version::HTTP_11, &["connection: upgrade"], None);
        check("GET", Version::HTTP_11, &["connection: close", "upgrade: websocket"], None);
        check("GET", Version::HTTP_11, &["connection: upgrade", "upgrade: h2c"], None);
        check("GET", Version::HTTP_11, &["connection: upgrade", "upgrade: h2c, websocket"], Some("websocket"));
        check(
            "GET",
            Version::HTTP_11,
            &["connection: upgrade", "upgrade: h2c", "upgrade: websocket"],
            Some("websocket"),
        );
        check("POST", Version::HTTP_11, &["connection: upgrade", "upgrade: websocket, spdy/3.1"], Some("SPDY/3.1"));
        check("GET", Version::HTTP_11, &["connection: upgrade", "upgrade: websocket/13"], None);
    }

    fn check(method: &str, version: Version, fields: &[&str], expected: Option<&str>) {
        let allowed = ["websocket", "SPDY/3.1"].map(HeaderValue::from_static);
        let method = method.parse().expect("a method");
        let found = asked(&map(fields), version).and_then(|asked| chosen(&asked, &method, &allowed));
        assert_eq!(found.as_ref().and_then(|found| found.to_str().ok()), expected, "{method} {version:?} {fields:?}");
    }

    #[test]
    fn an_answer_grants_exactly_what_was_asked_for() {
        let another = Err("for a protocol that was not asked for");
        granted(Version::HTTP_11, &["connection: upgrade", "upgrade: WebSocket"], Ok(()));
        granted(
            Version::HTTP_10,
            &["connection: upgrade", "upgrade: websocket"],
            Err("in a version of HTTP that has none"),
        );
        granted(Version::HTTP_11, &["connection: upgrade", "upgrade: h2c"], another);
        granted(Version::HTTP_11, &["connection: upgrade", "upgrade: websocket", "upgrade: h2c"], another);
        granted(Version::HTTP_11, &["connection: upgrade", "upgrade: websocket, h2c"], another);
        granted(Version::HTTP_11, &["connection: close", "upgrade: websocket"], another);
        granted(Version::HTTP_11, &["upgrade: websocket"], another);
        granted(Version::HTTP_11, &["connection: upgrade"], another);
        for framed in ["content-length: 0", "transfer-encoding: chunked"] {
            granted(Version::HTTP_11, &["connection: upgrade", "upgrade: websocket", framed], Err("with a body"));
        }
    }

    fn granted(version: Version, fields: &[&str], expected: Result<(), &str>) {
        let response = http::Response::builder().status(101).version(version).body(()).expect("a response");
        let mut parts = response.into_parts().0;
        parts.headers = map(fields);
        let found = check_granted(&parts, &HeaderValue::from_static("websocket")).map_err(|error| error.to_string());
        let expected =
            expected.map_err(|why| format!("the endpoint's answer breaks the rules of HTTP: status 101 {why}"));
        assert_eq!(found, expected, "{version:?} {fields:?}");
    }
}
