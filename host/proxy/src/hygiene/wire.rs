//! A request takes the form of the protocol that it goes out in: its authority, its target, and what is for this hop.
//!
//! Either form is made of the other, because a request that was not sent on one connection may go out on another.

use http::header::{self, HeaderMap, HeaderValue};
use http::uri::{Authority, Scheme};
use http::{Request, Uri, Version};

use super::hop;
use super::present::Present;

/// RFC 9112: the authority in `Host`, the target in origin-form, and `Connection` for what is for this hop alone.
pub(crate) fn over_http1<B>(request: &mut Request<B>) {
    *request.version_mut() = Version::HTTP_11;
    if request.uri().authority().is_some() {
        let parts = std::mem::take(request.uri_mut()).into_parts();
        *request.uri_mut() = parts.path_and_query.map(Uri::from).unwrap_or_default();
        if let Some(Ok(host)) = parts.authority.map(|authority| HeaderValue::from_str(authority.as_str())) {
            request.headers_mut().insert(header::HOST, host);
        }
    }
    let headers = request.headers_mut();
    headers.remove(header::CONNECTION);
    if headers.contains_key(header::TE) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
    }
    if headers.contains_key(header::UPGRADE) {
        headers.append(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
}

/// RFC 9113, section 8.3.1: the authority beside the target, and nothing that is specific to a connection (section 8.2.2).
pub(crate) fn over_http2<B>(request: &mut Request<B>, scheme: &Scheme) {
    let headers = request.headers_mut();
    headers.remove(header::CONNECTION);
    headers.remove(header::UPGRADE);
    let host = headers.get(header::HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    // Without one, the target is in the right form already, or `Host` has to say it.
    let Some(authority) = host else { return };
    let mut parts = request.uri().clone().into_parts();
    (parts.authority, parts.scheme) = (Some(authority), Some(scheme.clone()));
    if let Ok(uri) = Uri::from_parts(parts) {
        request.headers_mut().remove(header::HOST);
        (*request.uri_mut(), *request.version_mut()) = (uri, Version::HTTP_2);
    }
}

/// Takes out of trailers what only a head may say (RFC 9110, section 6.5.1), or no message of HTTP/2 (RFC 9113, section 8.2.2).
pub(crate) fn trailers(fields: &mut HeaderMap) {
    hop::strip(fields, Present::among(fields));
    for name in [header::CONTENT_LENGTH, header::HOST, header::TE, header::TRAILER] {
        fields.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str, fields: &[&str]) -> Request<()> {
        let mut request = Request::builder().uri(target);
        for field in fields {
            let (name, value) = field.split_once(": ").expect("a field");
            request = request.header(name, value);
        }
        request.body(()).expect("a request")
    }

    fn written<B>(request: &Request<B>) -> (String, Vec<String>) {
        let field =
            |(name, value): (&header::HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().expect("text"));
        let mut fields: Vec<String> = request.headers().iter().map(field).collect();
        fields.sort_unstable();
        (request.uri().to_string(), fields)
    }

    #[test]
    fn each_form_is_made_of_the_other() {
        for (target, fields, http1, http2) in [
            ("/a?b", &["host: h:1", "x-a: 1"][..], &["host: h:1", "x-a: 1"][..], ("https://h:1/a?b", &["x-a: 1"][..])),
            (
                "/",
                &["host: h", "te: trailers"],
                &["connection: te", "host: h", "te: trailers"],
                ("https://h/", &["te: trailers"]),
            ),
        ] {
            let mut request = request(target, fields);
            for _ in 0..2 {
                over_http1(&mut request);
                assert_eq!(written(&request), (target.to_owned(), http1.iter().map(ToString::to_string).collect()));
                for _ in 0..2 {
                    over_http2(&mut request, &Scheme::HTTPS);
                    let (uri, fields) = http2;
                    assert_eq!(written(&request), (uri.to_owned(), fields.iter().map(ToString::to_string).collect()));
                    assert_eq!(request.version(), Version::HTTP_2);
                }
            }
        }
    }

    #[test]
    fn an_upgrade_is_asked_for_over_http_1_alone() {
        let mut request = request("/", &["host: h", "upgrade: websocket", "te: trailers"]);
        over_http1(&mut request);
        let connection = ["connection: te", "connection: upgrade"];
        assert!(connection.iter().all(|field| written(&request).1.iter().any(|found| found == field)));
        over_http2(&mut request, &Scheme::HTTP);
        assert_eq!(written(&request), ("http://h/".to_owned(), vec!["te: trailers".to_owned()]));
    }

    #[test]
    fn the_whole_server_can_be_asked_for_its_options() {
        let mut request = request("*", &["host: h"]);
        *request.method_mut() = http::Method::OPTIONS;
        over_http2(&mut request, &Scheme::HTTP);
        assert_eq!(request.uri().path(), "*");
        assert_eq!(request.uri().authority().map(Authority::as_str), Some("h"));
    }

    #[test]
    fn trailers_frame_nothing_and_name_no_connection() {
        let mut fields = HeaderMap::new();
        for (name, value) in [("grpc-status", "0"), ("connection", "x-a"), ("x-a", "1"), ("content-length", "5")] {
            fields.insert(name, HeaderValue::from_static(value));
        }
        trailers(&mut fields);
        assert_eq!(fields.keys().map(header::HeaderName::as_str).collect::<Vec<_>>(), ["grpc-status"]);
    }
}
