//! The text of a request or a response (RFC 9112) in, its head and its body out.
//!
//! As files have it: lines may end in LF alone, and the empty line after the head may be missing where no body follows.
//! Without `Content-Length` the body is everything after the empty line.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use palisade_contract::{RequestHead, ResponseHead, head};

/// A head, and the body after it.
#[derive(Debug)]
pub(super) struct Message<H> {
    pub(super) head: H,
    pub(super) body: Bytes,
}

/// Where a text is not a message, and why.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {what}")]
pub(super) struct MessageError {
    line: usize,
    what: String,
}

/// Reads a request, in the form that every protocol decodes to.
///
/// # Errors
/// The line that is not one of a request.
pub(super) fn request(text: &[u8]) -> Result<Message<RequestHead>, MessageError> {
    let lines = Lines::split(text);
    let (method, uri) = request_line(lines.first)?;
    if uri.path_and_query().is_none() {
        return Err(at(1, format!("the target {uri} has no path: expected one such as \"/index.html\"")));
    }
    let fields = lines.fields()?;
    let body = lines.body(&fields)?;
    let mut request = Request::new(());
    (*request.method_mut(), *request.uri_mut()) = (method, uri);
    *request.headers_mut() = headers(fields);
    let head = RequestHead::from_parts(request.into_parts().0);
    let head = head.ok_or_else(|| at(1, "the request has not one field \"Host\" with a host in it".into()))?;
    Ok(Message { head, body })
}

/// Reads a response.
///
/// # Errors
/// The line that is not one of a response.
pub(super) fn response(text: &[u8]) -> Result<Message<ResponseHead>, MessageError> {
    let lines = Lines::split(text);
    let status = status_line(lines.first)?;
    let fields = lines.fields()?;
    let body = lines.body(&fields)?;
    let mut headers = headers(fields);
    let hop_by_hop: Vec<HeaderName> =
        headers.keys().filter(|name| head::is_reserved(name) && **name != header::CONTENT_LENGTH).cloned().collect();
    hop_by_hop.iter().for_each(|name| drop(headers.remove(name)));
    Ok(Message { head: ResponseHead { status, headers }, body })
}

fn request_line(line: &[u8]) -> Result<(Method, Uri), MessageError> {
    let refused = |why: String| at(1, format!("{}: {why}: expected such as \"GET / HTTP/1.1\"", quoted(line)));
    let ended = [line, b"\r\n\r\n"].concat();
    let mut parsed = httparse::Request::new(&mut []);
    parsed.parse(&ended).map_err(|error| refused(error.to_string()))?;
    let method = parsed.method.and_then(|method| method.parse().ok());
    let uri = parsed.path.and_then(|target| target.parse().ok());
    method.zip(uri).ok_or_else(|| refused("is not the line of a request".into()))
}

fn status_line(line: &[u8]) -> Result<StatusCode, MessageError> {
    let refused = |why: String| at(1, format!("{}: {why}: expected such as \"HTTP/1.1 200 OK\"", quoted(line)));
    let ended = [line, b"\r\n\r\n"].concat();
    let mut parsed = httparse::Response::new(&mut []);
    parsed.parse(&ended).map_err(|error| refused(error.to_string()))?;
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    status.filter(|status| !status.is_informational()).ok_or_else(|| refused("is not a final status".into()))
}

/// A message cut into lines.
struct Lines<'a> {
    first: &'a [u8],
    fields: Vec<&'a [u8]>,
    /// What follows the empty line.
    rest: &'a [u8],
}

/// A field and the number of its line.
type Field = (usize, HeaderName, HeaderValue);

impl<'a> Lines<'a> {
    fn split(text: &'a [u8]) -> Self {
        let (first, mut rest) = line(text);
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let (field, after) = line(rest);
            rest = after;
            if field.is_empty() {
                break;
            }
            fields.push(field);
        }
        Self { first, fields, rest }
    }

    fn fields(&self) -> Result<Vec<Field>, MessageError> {
        self.fields.iter().zip(2..).map(|(line, number)| field(line, number)).collect()
    }

    /// The body, as long as the head says it is.
    fn body(&self, fields: &[Field]) -> Result<Bytes, MessageError> {
        if let Some((line, ..)) = fields.iter().find(|(_, name, _)| *name == header::TRANSFER_ENCODING) {
            let what = "a file has no transfer coding: leave the field out, the body is what follows the empty line";
            return Err(at(*line, what.into()));
        }
        let Some((line, _, length)) = fields.iter().find(|(_, name, _)| *name == header::CONTENT_LENGTH) else {
            return Ok(Bytes::copy_from_slice(self.rest));
        };
        // Digits alone (RFC 9110, section 8.6): `parse` would take a sign.
        let digits = length.to_str().ok().filter(|length| length.bytes().all(|byte| byte.is_ascii_digit()));
        let announced = digits.and_then(|length| length.parse::<usize>().ok());
        let announced = announced.ok_or_else(|| at(*line, format!("{length:?} is not a number of bytes")))?;
        // Editors end a file with a line's end that its author did not count.
        let (body, after) = self.rest.split_at_checked(announced).unwrap_or((&[], b"short"));
        if !matches!(after, b"" | b"\n" | b"\r\n") {
            return Err(at(*line, format!("{announced} bytes are announced, and the body has {}", self.rest.len())));
        }
        Ok(Bytes::copy_from_slice(body))
    }
}

/// The first line without its end, and what follows it.
fn line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
    let (line, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
    (line.strip_suffix(b"\r").unwrap_or(line), rest.get(1..).unwrap_or_default())
}

fn field(line: &[u8], number: usize) -> Result<Field, MessageError> {
    let refused = |why: String| at(number, format!("{}: {why}: expected such as \"accept: */*\"", quoted(line)));
    let ended = [line, b"\r\n\r\n"].concat();
    let mut parsed = [httparse::EMPTY_HEADER];
    httparse::parse_headers(&ended, &mut parsed).map_err(|error| refused(error.to_string()))?;
    let [httparse::Header { name, value }] = parsed;
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| refused(error.to_string()))?;
    let value = HeaderValue::from_bytes(value).map_err(|error| refused(error.to_string()))?;
    Ok((number, name, value))
}

fn headers(fields: Vec<Field>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (_, name, value) in fields {
        headers.append(name, value);
    }
    headers
}

fn at(line: usize, what: String) -> MessageError {
    MessageError { line, what }
}

fn quoted(line: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_a_request_or_a_line_is_wrong() {
        check("GET /a?b HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n", "GET x /a?b accept");
        check("GET /a HTTP/1.1\nhost: x\n", "GET x /a");
        check("GET /a HTTP/1.0\nhost: x", "GET x /a");
        check("POST / HTTP/1.1\nhost: x\n\nbody\n", "POST x / body\\n");
        check("POST / HTTP/1.1\nhost: x\ncontent-length: 4\n\nbody\n", "POST x / body");
        check("GET http://y/a HTTP/1.1\nhost: x\n\n", "GET y /a");
        check("", "line 1: \"\": is not the line of a request: expected such as \"GET / HTTP/1.1\"");
        check("GET / HTTP/2\nhost: x", "line 1: \"GET / HTTP/2\": invalid HTTP version");
        check("GET /\nhost: x", "line 1: \"GET /\": invalid");
        check("GET / HTTP/1.1\nhost: x\nno colon\n", "line 3: \"no colon\": invalid header name");
        check("GET / HTTP/1.1\nhost: x\na: 1\n folded\n", "line 4: \" folded\": invalid header name");
        check("GET / HTTP/1.1\n\n", "line 1: the request has not one field \"Host\"");
        check("GET / HTTP/1.1\nhost: x\nhost: x\n", "line 1: the request has not one field \"Host\"");
        check("GET x:1 HTTP/1.1\nhost: x\n", "line 1: the target x:1 has no path");
        check(
            "POST / HTTP/1.1\nhost: x\ncontent-length: 9\n\nbody",
            "line 3: 9 bytes are announced, and the body has 4",
        );
        check(
            "POST / HTTP/1.1\nhost: x\ncontent-length: 2\n\nbody",
            "line 3: 2 bytes are announced, and the body has 4",
        );
        check("POST / HTTP/1.1\nhost: x\ncontent-length: +4\n\nbody", "line 3: \"+4\" is not a number");
        check("POST / HTTP/1.1\ntransfer-encoding: chunked\nhost: x\n\n", "line 2: a file has no transfer coding");
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = match request(text.as_bytes()) {
            Err(error) => error.to_string(),
            Ok(Message { head, body }) => {
                let authority = String::from_utf8_lossy(head.authority_bytes()).into_owned();
                let mut words = vec![head.method.to_string(), authority, head.target.to_string()];
                words.extend(head.headers.keys().map(ToString::to_string));
                words.extend(Some(body.escape_ascii().to_string()).filter(|body| !body.is_empty()));
                words.join(" ")
            }
        };
        assert!(if expected.starts_with("line") { found.starts_with(expected) } else { found == expected }, "{found}");
    }

    #[test]
    fn a_text_is_a_response_or_a_line_is_wrong() {
        check_response(
            "HTTP/1.1 200 OK\nConnection: close\nContent-Length: 2\nx: y\n\nok\n",
            "200 content-length x: ok",
        );
        check_response("HTTP/1.0 404", "404: ");
        check_response("HTTP/1.1 twenty\n", "line 1: \"HTTP/1.1 twenty\": invalid");
        check_response("HTTP/1.1 101 Switching\n", "line 1: \"HTTP/1.1 101 Switching\": is not a final status");
        check_response("HTTP/1.1 200 OK\nx y: z\n", "line 2: \"x y: z\": invalid header name");
    }

    #[track_caller]
    fn check_response(text: &str, expected: &str) {
        let found = match response(text.as_bytes()) {
            Err(error) => error.to_string(),
            Ok(Message { head, body }) => {
                let mut names: Vec<&str> = head.headers.keys().map(http::HeaderName::as_str).collect();
                names.sort_unstable();
                let names: String = names.iter().map(|name| format!(" {name}")).collect();
                format!("{}{names}: {}", head.status.as_u16(), body.escape_ascii())
            }
        };
        assert!(found.starts_with(expected), "{found}");
    }
}
