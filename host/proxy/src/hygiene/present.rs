//! Which of the fields that mean something to HTTP itself a head has: found in one pass over their names, so that none is looked
//! up that is not there.

use http::header::{self, HeaderMap, HeaderName};

/// A field that means something to a hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Te,
    Host,
    Cookie,
    Expect,
    Upgrade,
    Connection,
    KeepAlive,
    ContentLength,
    ProxyConnection,
    TransferEncoding,
    Via,
}

/// What is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Present {
    fields: u16,
    /// Of all names and values.
    pub(super) bytes: usize,
}

impl Present {
    pub(super) fn among(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        for (name, value) in headers {
            found.bytes += name.as_str().len() + value.len();
            found.fields |= field(name).map_or(0, bit);
        }
        found
    }

    pub(super) fn has(self, field: Field) -> bool {
        self.fields & bit(field) != 0
    }
}

fn bit(field: Field) -> u16 {
    1 << (field as u16)
}

fn field(name: &HeaderName) -> Option<Field> {
    // The length first: most names have one that none of these has.
    let (known, field) = match name.as_str().len() {
        2 => (header::TE, Field::Te),
        3 => (header::VIA, Field::Via),
        4 => (header::HOST, Field::Host),
        6 if *name == header::COOKIE => return Some(Field::Cookie),
        6 => (header::EXPECT, Field::Expect),
        7 => (header::UPGRADE, Field::Upgrade),
        10 if *name == header::CONNECTION => return Some(Field::Connection),
        10 => (KEEP_ALIVE, Field::KeepAlive),
        14 => (header::CONTENT_LENGTH, Field::ContentLength),
        16 => (PROXY_CONNECTION, Field::ProxyConnection),
        17 => (header::TRANSFER_ENCODING, Field::TransferEncoding),
        _ => return None,
    };
    (*name == known).then_some(field)
}

pub(super) const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
pub(super) const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn each_field_is_found_by_its_name_and_no_other() {
        let all = [
            ("te", Field::Te),
            ("via", Field::Via),
            ("host", Field::Host),
            ("cookie", Field::Cookie),
            ("expect", Field::Expect),
            ("upgrade", Field::Upgrade),
            ("connection", Field::Connection),
            ("keep-alive", Field::KeepAlive),
            ("content-length", Field::ContentLength),
            ("proxy-connection", Field::ProxyConnection),
            ("transfer-encoding", Field::TransferEncoding),
        ];
        for (name, expected) in all {
            let mut headers = HeaderMap::new();
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("12"));
            let present = Present::among(&headers);
            assert_eq!(present.bytes, name.len() + 2);
            for (_, field) in all {
                assert_eq!(present.has(field), field == expected, "{name}: {field:?}");
            }
        }
        for other in ["tz", "vib", "hosx", "accept", "origin", "trailer", "connectiom", "user-agent", "content-range"] {
            let mut headers = HeaderMap::new();
            headers.append(HeaderName::from_static(other), HeaderValue::from_static(""));
            assert_eq!(Present::among(&headers), Present { fields: 0, bytes: other.len() }, "{other}");
        }
    }
}
