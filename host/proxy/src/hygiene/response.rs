//! An endpoint's answer becomes the one form that is passed on, or is refused.

use http::header::{self, HeaderValue};
use http::{HeaderMap, StatusCode};
use palisade_contract::ResponseHead;

use super::present::{Field, Present};
use super::{forwarded, hop, upgrade};
use crate::error::RequestError;

/// Decodes and checks the head of an endpoint's answer to a request that asked to switch to `protocol`, if to any.
///
/// # Errors
/// The answer is not one that ends an exchange: nobody asked to switch protocols, or not to this one (RFC 9110, section
/// 15.2.2). Or its body could be framed in more than one way.
pub(crate) fn response(
    parts: http::response::Parts,
    protocol: Option<&HeaderValue>,
) -> Result<ResponseHead, RequestError> {
    match protocol {
        Some(protocol) if parts.status == StatusCode::SWITCHING_PROTOCOLS => upgrade::check_granted(&parts, protocol)?,
        _ if parts.status.is_informational() => {
            let status = parts.status.as_u16();
            return Err(RequestError::Answer(format!("status {status} without a request for it")));
        }
        _ => {}
    }
    let http::response::Parts { status, version, mut headers, .. } = parts;
    let present = Present::among(&headers);
    check_framing(status, &headers, present)?;
    hop::strip(&mut headers, present);
    forwarded::via(&mut headers, version, present.has(Field::Via));
    Ok(ResponseHead { status, headers })
}

/// A message has one length, written once and in digits (RFC 9110, section 8.6), and none beside a transfer coding (RFC 9112,
/// section 6.3): whoever reads it by the other one reads another message.
fn check_framing(status: StatusCode, headers: &HeaderMap, present: Present) -> Result<(), RequestError> {
    let refused = |why: &str| Err(RequestError::Answer(why.into()));
    let has_coding = present.has(Field::TransferEncoding);
    if has_coding && !hop::is_coding_known(headers) {
        return refused("its Transfer-Encoding is not chunked alone");
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(()) };
    if has_coding {
        return refused("Content-Length beside Transfer-Encoding");
    }
    if lengths.next().is_some() {
        return refused("Content-Length is there more than once");
    }
    if length.is_empty() || !length.as_bytes().iter().all(u8::is_ascii_digit) {
        return refused("Content-Length is not a number");
    }
    if status == StatusCode::NO_CONTENT && length != "0" {
        return refused("status 204 with a Content-Length");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::Response;

    #[test]
    fn an_answer_has_one_framing() {
        check(200, &[], Ok(()));
        check(200, &["content-length: 5"], Ok(()));
        check(200, &["transfer-encoding: chunked"], Ok(()));
        check(204, &[], Ok(()));
        check(
            200,
            &["content-length: 2", "transfer-encoding: chunked"],
            Err("Content-Length beside Transfer-Encoding"),
        );
        check(200, &["content-length: 5", "content-length: 5"], Err("Content-Length is there more than once"));
        check(200, &["content-length: 5, 5"], Err("Content-Length is not a number"));
        check(200, &["content-length: +5"], Err("Content-Length is not a number"));
        check(200, &["transfer-encoding: gzip, chunked"], Err("its Transfer-Encoding is not chunked alone"));
        check(204, &["content-length: 5"], Err("status 204 with a Content-Length"));
        check(101, &[], Err("status 101 without a request for it"));
    }

    fn check(status: u16, fields: &[&str], expected: Result<(), &str>) {
        let mut response = Response::builder().status(status);
        for field in fields {
            let (name, value) = field.split_once(": ").expect("a field");
            response = response.header(name, value);
        }
        let parts = response.body(()).expect("a response").into_parts().0;
        let expected = expected.map_err(|why| format!("the endpoint's answer breaks the rules of HTTP: {why}"));
        assert_eq!(
            super::response(parts, None).map(drop).map_err(|error| error.to_string()),
            expected,
            "{status} {fields:?}"
        );
    }
}
