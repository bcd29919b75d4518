//! A field section becomes a request's head, or trailers, by the rules of RFC 9114, sections 4.2 and 4.3: what breaks one of
//! them is malformed (section 4.1.2). What a request means is not looked at here.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Uri, Version};

use super::fault::{Code, Fault};
use super::qpack::{Fields, Name, Value};
use crate::hygiene::Protocol;

/// What every field counts beside its bytes (section 4.2.2).
const FIELD_OVERHEAD_BYTES: usize = 32;

/// Fields that are for one connection of an older HTTP (section 4.2).
const OF_CONNECTIONS: [&[u8]; 5] =
    [b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"];

/// A request's head, and how long it says that its body is.
///
/// # Errors
/// It is malformed, too large, or not coded as it may be.
pub(super) fn request(section: &[u8], bytes_max: usize) -> Result<(Parts, Option<u64>), Fault> {
    let mut pseudo = Pseudo::default();
    let mut headers = HeaderMap::new();
    read(section, bytes_max, |name, value| match name.as_bytes() {
        // Section 4.3: before all other fields.
        [b':', ..] if headers.is_empty() => pseudo.set(name.as_bytes(), &value),
        [b':', ..] => malformed("a pseudo-header field stands behind others, or in trailers"),
        _ => add(&mut headers, &name, value),
    })?;
    let length = length(&headers)?;
    Ok((pseudo.into_parts(headers)?, length))
}

/// Trailers.
///
/// # Errors
/// They are malformed, too large, or not coded as they may be.
pub(super) fn trailers(section: &[u8], bytes_max: usize) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::new();
    read(section, bytes_max, |name, value| add(&mut headers, &name, value))?;
    Ok(headers)
}

fn malformed<T>(why: &'static str) -> Result<T, Fault> {
    Err(Fault::Stream(Code::MessageError, why))
}

fn read(
    section: &[u8],
    bytes_max: usize,
    mut each: impl FnMut(Name<'_>, Value) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut fields = Fields::new(section)?;
    let mut bytes: usize = 0;
    while let Some((name, value)) = fields.next()? {
        bytes += name.as_bytes().len() + value.as_bytes().len() + FIELD_OVERHEAD_BYTES;
        if bytes > bytes_max {
            return Err(Fault::TooLarge);
        }
        each(name, value)?;
    }
    Ok(())
}

/// Sections 4.2 and 10.3.
fn add(headers: &mut HeaderMap, name: &Name<'_>, value: Value) -> Result<(), Fault> {
    let bytes = value.as_bytes();
    if OF_CONNECTIONS.contains(&name.as_bytes()) {
        return malformed("a field is for one connection of an older HTTP");
    }
    if name.as_bytes() == b"te" && !bytes.eq_ignore_ascii_case(b"trailers") {
        return malformed("TE is not trailers");
    }
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    if is_blank(bytes.first()) || is_blank(bytes.last()) {
        return malformed("a value begins or ends with white space");
    }
    // In upper case, empty, or with a byte that no name has: not a name either.
    let Ok(name) = HeaderName::from_lowercase(name.as_bytes()) else { return malformed("a name is not one") };
    let value = match value {
        Value::Known(value) => Ok(HeaderValue::from_static(value)),
        Value::Written(value) => HeaderValue::from_maybe_shared(value),
    };
    let Ok(value) = value else { return malformed("a value is not one") };
    headers.try_append(name, value).map_err(|_| Fault::TooLarge)?;
    Ok(())
}

/// RFC 9110, section 8.6: once, and in digits.
fn length(headers: &HeaderMap) -> Result<Option<u64>, Fault> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(None) };
    let is_number = !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit);
    let number = length.to_str().ok().filter(|_| is_number && lengths.next().is_none());
    match number.and_then(|number| number.parse().ok()) {
        Some(number) => Ok(Some(number)),
        None => malformed("Content-Length is not one number"),
    }
}

/// What a request's first line says in other versions (section 4.3.1).
#[derive(Default)]
struct Pseudo {
    method: Option<Method>,
    scheme: Option<Scheme>,
    authority: Option<Authority>,
    path: Option<PathAndQuery>,
    protocol: Option<Protocol>,
}

impl Pseudo {
    fn set(&mut self, name: &[u8], value: &Value) -> Result<(), Fault> {
        let bytes = Bytes::copy_from_slice(value.as_bytes());
        match name {
            b":method" => set(&mut self.method, Method::from_bytes(&bytes).ok()),
            b":scheme" => set(&mut self.scheme, Scheme::try_from(&bytes[..]).ok().filter(is_http)),
            b":authority" => set(&mut self.authority, authority(bytes)),
            b":path" => set(&mut self.path, path(bytes)),
            b":protocol" => set(&mut self.protocol, HeaderValue::from_maybe_shared(bytes).ok().map(Protocol)),
            // Those of answers.
            _ => malformed("there is a pseudo-header field that a request has not"),
        }
    }

    fn into_parts(self, headers: HeaderMap) -> Result<Parts, Fault> {
        let Self { method: Some(method), scheme, authority, path, protocol } = self else {
            return malformed("no :method");
        };
        let mut uri = http::uri::Parts::default();
        if method == Method::CONNECT && headers.contains_key(header::CONTENT_LENGTH) {
            // RFC 9110, section 9.3.6.
            return malformed("CONNECT has a length");
        }
        if method == Method::CONNECT && protocol.is_none() {
            // Section 4.4.
            if scheme.is_some() || path.is_some() || authority.is_none() {
                return malformed("CONNECT has :scheme or :path, or no :authority");
            }
        } else {
            // RFC 8441, section 4, and RFC 9220, section 3.
            if protocol.is_some() && (method != Method::CONNECT || authority.is_none()) {
                return malformed(":protocol for a method that is not CONNECT, or no :authority");
            }
            let (Some(scheme), Some(path)) = (scheme, path) else { return malformed("no :scheme or no :path") };
            if path.as_str() == "*" && method != Method::OPTIONS {
                return malformed(":path is * for a method that is not OPTIONS");
            }
            uri.path_and_query = Some(path);
            // Without an authority there is no place for it: `Host` says the rest.
            uri.scheme = authority.is_some().then_some(scheme);
        }
        agree(authority.as_ref(), &headers)?;
        uri.authority = authority;
        let Ok(uri) = Uri::from_parts(uri) else { return malformed("the target is not one") };
        let mut parts = Request::new(()).into_parts().0;
        (parts.method, parts.uri, parts.version, parts.headers) = (method, uri, Version::HTTP_3, headers);
        if let Some(protocol) = protocol {
            parts.extensions.insert(protocol);
        }
        Ok(parts)
    }
}

/// Each at most once, and well-formed.
fn set<T>(place: &mut Option<T>, value: Option<T>) -> Result<(), Fault> {
    if value.is_none() {
        return malformed("a pseudo-header field has a value that it may not have");
    }
    if place.is_some() {
        return malformed("a pseudo-header field is there more than once");
    }
    *place = value;
    Ok(())
}

fn is_http(scheme: &Scheme) -> bool {
    *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS
}

/// Not empty, and without user information.
fn authority(bytes: Bytes) -> Option<Authority> {
    Authority::from_maybe_shared(bytes).ok().filter(|authority| !authority.as_str().contains('@'))
}

/// Not empty: it begins with a slash, or is an asterisk, which is for OPTIONS.
fn path(bytes: Bytes) -> Option<PathAndQuery> {
    let is_target = (bytes.first() == Some(&b'/') || bytes[..] == *b"*")
        && bytes.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#');
    PathAndQuery::from_maybe_shared(bytes).ok().filter(|_| is_target)
}

/// One of both is there and not empty, and they say the same (section 4.3.1).
fn agree(authority: Option<&Authority>, headers: &HeaderMap) -> Result<(), Fault> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (authority, hosts.next()) {
        (None, None) => malformed("neither :authority nor Host"),
        (_, Some(host)) if host.is_empty() || hosts.next().is_some() => malformed("Host is empty, or there twice"),
        (Some(authority), Some(host)) if !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()) => {
            malformed(":authority and Host differ")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
