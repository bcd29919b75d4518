//! Fields become a field section: QPACK's own numbers where there are any, and what is written as it is.

use bytes::{BufMut, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{integer, static_table};

/// Appends the section of a response's head.
pub(crate) fn response(status: StatusCode, headers: &HeaderMap, into: &mut BytesMut) {
    prefix(into);
    match static_table::status(status.as_u16()) {
        Some(index) => integer::encode(index.into(), (0xc0, 6), into),
        None => {
            integer::encode(STATUS, (0x50, 4), into);
            string(status.as_str().as_bytes(), into);
        }
    }
    headers.iter().for_each(|(name, value)| field(name, value, into));
}

/// Appends the section of trailers.
pub(crate) fn fields(headers: &HeaderMap, into: &mut BytesMut) {
    prefix(into);
    headers.iter().for_each(|(name, value)| field(name, value, into));
}

/// The number of a field with the name `:status`.
const STATUS: usize = 24;

/// Nothing of a dynamic table is needed (RFC 9204, section 4.5.1).
fn prefix(into: &mut BytesMut) {
    into.put_slice(&[0, 0]);
}

fn field(name: &HeaderName, value: &HeaderValue, into: &mut BytesMut) {
    // Sections 4.5.4 and 4.5.6; the second bit says that nobody may put it into a table.
    match static_table::name(name.as_str()) {
        Some(index) => integer::encode(index.into(), (if value.is_sensitive() { 0x70 } else { 0x50 }, 4), into),
        None => {
            integer::encode(name.as_str().len(), (if value.is_sensitive() { 0x30 } else { 0x20 }, 3), into);
            into.put_slice(name.as_str().as_bytes());
        }
    }
    string(value.as_bytes(), into);
}

fn string(bytes: &[u8], into: &mut BytesMut) {
    integer::encode(bytes.len(), (0, 7), into);
    into.put_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::super::Fields;
    use super::*;

    #[test]
    fn a_head_is_read_as_it_is_written() {
        for status in [100, 103, 200, 204, 299, 304, 404, 418, 500, 503, 599] {
            let mut headers = HeaderMap::new();
            for (name, value) in [("server", "a"), ("x-a", ""), ("x-long-name-of-a-field", "b"), ("set-cookie", "c=d")]
            {
                headers.append(name, HeaderValue::from_static(value));
            }
            headers.append("set-cookie", HeaderValue::from_str(&"e".repeat(1_000)).expect("a value"));
            if let Some(value) = headers.get_mut("x-a") {
                value.set_sensitive(true);
            }
            let mut section = BytesMut::new();
            response(StatusCode::from_u16(status).expect("a status"), &headers, &mut section);
            let mut read = Fields::new(&section).expect("a section");
            let (name, value) = read.next().expect("a field").expect("a field");
            assert_eq!((name.as_bytes(), value.as_bytes()), (&b":status"[..], status.to_string().as_bytes()));
            for (expected_name, expected_value) in &headers {
                let (name, value) = read.next().expect("a field").expect("a field");
                assert_eq!(
                    (name.as_bytes(), value.as_bytes()),
                    (expected_name.as_str().as_bytes(), expected_value.as_bytes())
                );
            }
            assert_eq!(read.next(), Ok(None));
        }
    }
}
