//! A request as it arrived becomes the one form that every protocol decodes to, or is refused.

use http::header::{self, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Uri, Version};
use palisade_config::{Listener, ListenerLimits};
use palisade_contract::{RequestHead, Scheme, head};

use super::present::{Field, Present};
use super::{extended, hop, path, upgrade};
use crate::error::RequestError;

/// A request's head in our form, and what of it was for this hop but is needed later.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) head: RequestHead,
    /// The client takes trailers (RFC 9110, section 10.1.4).
    pub(crate) takes_trailers: bool,
    /// The protocols that it asks to switch to.
    pub(crate) upgrade: Option<HeaderValue>,
}

/// Decodes and checks a head.
///
/// # Errors
/// What the client is answered with.
pub(crate) fn request(
    parts: http::request::Parts,
    scheme: Scheme,
    listener: &Listener,
) -> Result<Arrived, RequestError> {
    let http::request::Parts { mut method, uri, version, mut headers, mut extensions, .. } = parts;
    let present = Present::among(&headers);
    check_size(&uri, (headers.len(), present.bytes), &listener.limits)?;
    let mut upgrade = None;
    if method == Method::CONNECT {
        // What is asked of the endpoint, and of plugins, is what a client of HTTP/1.1 would ask (RFC 8441, section 5).
        upgrade = Some(extended::asked(&mut extensions)?.ok_or(RequestError::Connect)?);
        method = Method::GET;
    }
    // Whoever goes by the one takes the request for another than whoever goes by the other (RFC 9110, section 7.4).
    if uri.scheme_str().is_some_and(|asked| asked != scheme.as_str()) {
        return Err(RequestError::Target);
    }
    // HTTP/1.1 has white space around values, which is no part of them (RFC 9113, section 8.2.1; RFC 9114, section 4.2).
    if version >= Version::HTTP_2 && headers.values().any(is_padded) {
        return Err(RequestError::Field);
    }
    if present.has(Field::TransferEncoding) && !hop::is_coding_known(&headers) {
        return Err(RequestError::Coding);
    }
    let authority = authority(&uri, version, (&mut headers, present))?;
    let target = path::apply(listener.paths, target(&method, uri)?)?;
    let takes_trailers = present.has(Field::Te) && hop::lists(&headers, &header::TE, "trailers");
    if upgrade.is_none() && present.has(Field::Upgrade) {
        upgrade = upgrade::asked(&headers, version);
    }
    // Expectations are answered by this hop, when it begins to read the body (RFC 9110, section 10.1.1). The body's own length
    // frames it again; a number that was only copied could lie.
    let ours =
        [(header::TE, Field::Te), (header::EXPECT, Field::Expect), (header::CONTENT_LENGTH, Field::ContentLength)];
    for (name, _) in ours.iter().filter(|(_, field)| present.has(*field)) {
        headers.remove(name);
    }
    hop::strip(&mut headers, present);
    if version >= Version::HTTP_2 && present.has(Field::Cookie) {
        join_cookies(&mut headers);
    }
    Ok(Arrived { head: RequestHead { method, target, authority, headers }, takes_trailers, upgrade })
}

/// Whether a value begins or ends with white space.
fn is_padded(value: &HeaderValue) -> bool {
    let is_white = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let value = value.as_bytes();
    is_white(value.first()) || is_white(value.last())
}

/// One field of cookies where HTTP/2 or HTTP/3 has split it: whoever speaks neither knows one only (RFC 9113, section 8.2.3;
/// RFC 9114, section 4.2.1).
fn join_cookies(headers: &mut HeaderMap) {
    let mut pairs = headers.get_all(header::COOKIE).iter();
    let (Some(first), Some(_)) = (pairs.next(), pairs.next()) else { return };
    let mut joined = first.as_bytes().to_vec();
    for pair in headers.get_all(header::COOKIE).iter().skip(1) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(pair.as_bytes());
    }
    if let Ok(joined) = HeaderValue::from_bytes(&joined) {
        headers.insert(header::COOKIE, joined);
    }
}

fn check_size(uri: &Uri, (count, bytes): (usize, usize), limits: &ListenerLimits) -> Result<(), RequestError> {
    if uri.path_and_query().is_some_and(|target| target.as_str().len() > limits.target_bytes) {
        return Err(RequestError::TargetTooLong);
    }
    let fits = count <= limits.headers && bytes <= limits.header_bytes;
    if fits { Ok(()) } else { Err(RequestError::HeadTooLarge) }
}

/// Host and port: of the target where it has one, else of `Host`, which HTTP/1.1 must have once (RFC 9112, section 3.2;
/// RFC 9113, section 8.3.1). `Host` is taken out.
fn authority(
    uri: &Uri,
    version: Version,
    (headers, present): (&mut HeaderMap, Present),
) -> Result<Option<HeaderValue>, RequestError> {
    let is_there = present.has(Field::Host);
    if is_there && headers.get_all(header::HOST).iter().nth(1).is_some() {
        return Err(RequestError::Host);
    }
    let host = if is_there { headers.remove(header::HOST) } else { None };
    if host.is_none() && version == Version::HTTP_11 {
        return Err(RequestError::Host);
    }
    let is_h1 = version < Version::HTTP_2;
    match (uri.authority(), host) {
        // Absolute-form: the target counts (RFC 9112, section 3.2.2), and one that disagrees is not passed on.
        (Some(authority), host) => {
            let authority = authority.as_str().as_bytes();
            if host.is_some_and(|host| !host.as_bytes().eq_ignore_ascii_case(authority)) {
                return Err(RequestError::Host);
            }
            head::parse_authority(authority).map(Some).ok_or(RequestError::Host)
        }
        (None, Some(host)) if host.is_empty() && is_h1 => Ok(None),
        (None, Some(host)) if head::is_authority(host.as_bytes()) => Ok(Some(host)),
        (None, Some(_)) => Err(RequestError::Host),
        (None, None) if is_h1 => Ok(None),
        (None, None) => Err(RequestError::Host),
    }
}

/// Path and query, or `*` for OPTIONS (RFC 9112, section 3.2.4).
fn target(method: &Method, uri: Uri) -> Result<PathAndQuery, RequestError> {
    let target = uri.into_parts().path_and_query.ok_or(RequestError::Target)?;
    let is_path = target.as_str().starts_with('/');
    let is_asterisk = target.as_str() == "*" && method == Method::OPTIONS;
    if !(is_path || is_asterisk) || target.as_str().bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err(RequestError::Target);
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    const OK: &str = "ok";

    fn listener(limits: ListenerLimits) -> Listener {
        let text = "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:0\"\nredirect_to_https = true\n";
        let config = palisade_config::Config::parse(text, std::path::Path::new("a.toml")).expect("a good config");
        Listener { limits, ..config.listeners.into_iter().next().expect("a listener") }
    }

    #[test]
    fn a_request_has_one_host_and_one_target() {
        check("GET / HTTP/1.1", &["host: a"], OK);
        check("GET / HTTP/1.1", &["host: a:8443"], OK);
        check("GET / HTTP/1.1", &[], "Host");
        check("GET / HTTP/1.1", &["host: a", "host: a"], "Host");
        check("GET / HTTP/1.1", &["host: a, b"], "Host");
        check("GET / HTTP/1.1", &["host: user@a"], "Host");
        check("GET / HTTP/1.1", &["host: a:port"], "Host");
        check("POST / HTTP/1.1", &["host: a", "transfer-encoding: chunked"], OK);
        check("POST / HTTP/1.1", &["host: a", "transfer-encoding: x, chunked"], "Coding");
        check("GET / HTTP/1.0", &[], OK);
        check("GET http://a/x HTTP/1.1", &["host: a"], OK);
        check("GET http://a/x HTTP/1.1", &["host: A"], OK);
        check("GET http://a/x HTTP/1.1", &["host: b"], "Host");
        check("GET http://u@a/x HTTP/1.1", &["host: u@a"], "Host");
        check("OPTIONS * HTTP/1.1", &["host: a"], OK);
        check("GET * HTTP/1.1", &["host: a"], "Target");
        check("CONNECT a:443 HTTP/1.1", &["host: a:443"], "Connect");
        check("GET /12345678901234567890 HTTP/1.1", &["host: a"], "TargetTooLong");
        check("GET / HTTP/1.1", &["host: a", "a: 1", "b: 2", "c: 3"], "HeadTooLarge");
        check("GET / HTTP/1.1", &["host: a", "a: 12345678901234567890123456789012345678901234567890"], "HeadTooLarge");
        check("GET https://a/x HTTP/2.0", &[], OK);
        check("GET /x HTTP/2.0", &[], "Host");
        check("GET http://a/x HTTP/2.0", &[], "Target");
        check("GET https://a/x HTTP/1.1", &["host: a"], "Target");
        check("GET https://a/x HTTP/2.0", &["x:  a"], "Field");
        check("GET https://a/x HTTP/2.0", &["x: a "], "Field");
    }

    fn check(line: &str, fields: &[&str], expected: &str) {
        let [method, uri, version] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let version = match version {
            "HTTP/1.0" => Version::HTTP_10,
            "HTTP/1.1" => Version::HTTP_11,
            _ => Version::HTTP_2,
        };
        let mut request = Request::builder().method(method).uri(uri).version(version);
        for field in fields {
            let (name, value) = field.split_once(": ").expect("a field");
            request = request.header(name, value);
        }
        let parts = request.body(()).expect("a request").into_parts().0;
        let scheme = if version == Version::HTTP_2 { Scheme::Https } else { Scheme::Http };
        let limits = ListenerLimits { headers: 3, header_bytes: 40, target_bytes: 20, ..ListenerLimits::default() };
        let found = match super::request(parts, scheme, &listener(limits)) {
            Ok(_) => OK.to_owned(),
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(found, expected, "{line} {fields:?}");
    }

    #[test]
    fn what_frames_the_message_is_not_copied() {
        let parts = Request::builder()
            .uri("/")
            .header("host", "a")
            .header("content-length", "5")
            .header("expect", "100-continue")
            .header("te", "gzip, trailers")
            .header("x-stays", "1")
            .body(())
            .expect("a request")
            .into_parts()
            .0;
        let arrived =
            super::request(parts, Scheme::Http, &listener(ListenerLimits::default())).expect("a good request");
        assert!(arrived.takes_trailers);
        assert_eq!(arrived.head.headers.keys().map(|name| name.as_str()).collect::<Vec<_>>(), ["x-stays"]);
        assert_eq!(arrived.head.authority_bytes(), b"a");
    }

    #[test]
    fn cookies_that_http_2_or_3_has_split_are_one_field_again() {
        for (version, expected) in [
            (Version::HTTP_2, &["a=1; b=2; c=3"][..]),
            (Version::HTTP_3, &["a=1; b=2; c=3"]),
            (Version::HTTP_11, &["a=1", "b=2; c=3"]),
        ] {
            let request = Request::builder().uri("https://a/").version(version).header("host", "a");
            let request = request.header("cookie", "a=1").header("cookie", "b=2; c=3").body(()).expect("a request");
            let arrived = super::request(request.into_parts().0, Scheme::Https, &listener(ListenerLimits::default()))
                .expect("a good request");
            let cookies = arrived.head.headers.get_all("cookie").iter().collect::<Vec<_>>();
            assert_eq!(cookies, expected, "{version:?}");
        }
    }
}
