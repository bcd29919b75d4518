//! Header fields that are for one connection only (RFC 9110, section 7.6.1).

use http::header::{self, HeaderMap, HeaderName};

use super::present::{Field, KEEP_ALIVE, PROXY_CONNECTION, Present};

/// Those that intermediaries must remove whether or not `Connection` names them, and one that never was a standard (RFC 9110,
/// section 7.6.1). `TE` and `Trailer` are decided elsewhere.
const HOP_BY_HOP: [(HeaderName, Field); 5] = [
    (header::CONNECTION, Field::Connection),
    (header::TRANSFER_ENCODING, Field::TransferEncoding),
    (header::UPGRADE, Field::Upgrade),
    (KEEP_ALIVE, Field::KeepAlive),
    (PROXY_CONNECTION, Field::ProxyConnection),
];

/// Fields that say where and how the message goes: naming them in `Connection` must not make them disappear.
const KEPT: [HeaderName; 10] = [
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::HOST,
    header::AUTHORIZATION,
    header::COOKIE,
    header::FORWARDED,
    header::CACHE_CONTROL,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-proto"),
    // RFC 8470, section 5.1.
    HeaderName::from_static("early-data"),
];

/// Removes what is for one connection only, including what `Connection` names, of the fields that are present.
pub(super) fn strip(headers: &mut HeaderMap, present: Present) {
    if present.has(Field::Connection) {
        for name in named(headers) {
            headers.remove(name);
        }
    }
    for (name, field) in &HOP_BY_HOP {
        if present.has(*field) {
            headers.remove(name);
        }
    }
}

/// What `Connection` names, but for fields that it must not name, and for `Keep-Alive`, which goes in any case: many servers say it in each
/// answer.
fn named(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|name| !name.eq_ignore_ascii_case(b"keep-alive"))
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .filter(|name| !KEPT.contains(name))
        .collect()
}

/// Whether the body's coding for this hop is one that is undone here: none, or `chunked` alone (RFC 9112, section 6.1).
/// Others would have to be undone before the message could go on without the field that names them.
pub(super) fn is_coding_known(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

/// Whether a list field has this member, in any letter case (RFC 9110, section 5.6.1).
pub(super) fn lists(headers: &HeaderMap, field: &HeaderName, member: &str) -> bool {
    headers
        .get_all(field)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|listed| listed.trim_ascii().eq_ignore_ascii_case(member.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn what_is_for_one_hop_goes_and_everything_else_stays() {
        check(&["connection: close"], &[]);
        check(&["connection: x-a, X-B", "x-a: 1", "x-b: 2", "x-c: 3"], &["x-c"]);
        check(&["connection: x-a", "connection: x-b", "x-a: 1", "x-b: 2"], &[]);
        check(&["keep-alive: timeout=5", "proxy-connection: close", "upgrade: h2c", "accept: */*"], &["accept"]);
        check(&["transfer-encoding: chunked", "trailer: x", "te: trailers"], &["te", "trailer"]);
        // What names the peer or frames the body cannot be argued away.
        check(
            &["connection: host, content-length, cookie", "content-length: 3", "cookie: a"],
            &["content-length", "cookie"],
        );
        check(&["connection: x-forwarded-for", "x-forwarded-for: 1.2.3.4"], &["x-forwarded-for"]);
        check(&["connection: early-data", "early-data: 1"], &["early-data"]);
    }

    #[test]
    fn only_chunked_alone_is_a_coding_that_is_undone() {
        for (fields, known) in [
            (&[][..], true),
            (&["transfer-encoding: chunked"], true),
            (&["transfer-encoding: Chunked "], true),
            (&["transfer-encoding: gzip, chunked"], false),
            (&["transfer-encoding: chunked, chunked"], false),
            (&["transfer-encoding: gzip", "transfer-encoding: chunked"], false),
            (&["transfer-encoding: "], false),
        ] {
            assert_eq!(is_coding_known(&map(fields)), known, "{fields:?}");
        }
    }

    fn map(fields: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for field in fields {
            let (name, value) = field.split_once(": ").expect("a field");
            headers.append(name.parse::<HeaderName>().expect("a name"), HeaderValue::from_str(value).expect("a value"));
        }
        headers
    }

    fn check(fields: &[&str], left: &[&str]) {
        let mut headers = map(fields);
        let present = Present::among(&headers);
        strip(&mut headers, present);
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, left, "{fields:?}");
    }
}
