//! An endpoint's answer becomes the one form that is passed on, or is refused.

use http::header;
use http::{HeaderMap, StatusCode};
use palisade_contract::ResponseHead;

use super::{forwarded, hop};
use crate::error::RequestError;

/// Decodes and checks the head of an endpoint's answer.
///
/// # Errors
/// The answer is not one that ends an exchange: nobody asked to switch protocols (RFC 9110, section 15.2.2).
pub(crate) fn response(parts: http::response::Parts) -> Result<ResponseHead, RequestError> {
    let http::response::Parts { status, version, mut headers, .. } = parts;
    if status.is_informational() {
        return Err(RequestError::Answer(format!("status {} without a request for it", status.as_u16())));
    }
    hop::strip(&mut headers);
    check_length(status, &headers)?;
    forwarded::via(&mut headers, version);
    Ok(ResponseHead { status, headers })
}

/// A message has one length, written once (RFC 9110, section 8.6).
fn check_length(status: StatusCode, headers: &HeaderMap) -> Result<(), RequestError> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let first = lengths.next();
    if lengths.any(|length| Some(length) != first) {
        return Err(RequestError::Answer("Content-Length is there more than once".into()));
    }
    if status == StatusCode::NO_CONTENT && first.is_some_and(|length| length != "0") {
        return Err(RequestError::Answer("status 204 with a Content-Length".into()));
    }
    Ok(())
}
