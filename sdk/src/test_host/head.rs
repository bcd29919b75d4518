//! The heads of a test's exchange, with the checks that the host makes when a plugin changes one.

use super::tls::TestTls;
use crate::bindings::capabilities::palisade::plugin::types::HeadError;

/// The head of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestSide {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) authority: String,
    pub(crate) fields: Fields,
    /// How its client came through TLS.
    pub(crate) tls: Option<TestTls>,
}

impl RequestSide {
    pub(crate) fn set_target(&mut self, target: &[u8]) -> Result<(), HeadError> {
        self.target = visible(target).filter(|target| target.starts_with('/')).ok_or(HeadError::InvalidValue)?;
        Ok(())
    }

    pub(crate) fn set_authority(&mut self, authority: &[u8]) -> Result<(), HeadError> {
        self.authority =
            visible(authority).filter(|a| !a.contains(['/', '?', '#', '@'])).ok_or(HeadError::InvalidValue)?;
        Ok(())
    }
}

/// The head of a response, and the body of a reply.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResponseSide {
    pub(crate) status: u16,
    pub(crate) fields: Fields,
    pub(crate) body: Vec<u8>,
}

impl ResponseSide {
    pub(crate) fn reply(status: u16, headers: &[(String, Vec<u8>)], body: &[u8]) -> Result<Self, HeadError> {
        if !(200..=599).contains(&status) {
            return Err(HeadError::InvalidValue);
        }
        if headers.len() > REPLY_HEADERS_MAX || body.len() > REPLY_BODY_BYTES_MAX {
            return Err(HeadError::TooLarge);
        }
        let mut fields = Fields::default();
        for (name, value) in headers {
            fields.append(name, value)?;
        }
        Ok(Self { status, fields, body: body.to_vec() })
    }

    pub(crate) fn set_status(&mut self, status: u16) -> Result<(), HeadError> {
        let framing_changes = status != self.status && [204, 205, 304].contains(&status);
        if framing_changes || !(200..=599).contains(&status) {
            return Err(HeadError::InvalidValue);
        }
        self.status = status;
        Ok(())
    }
}

/// Headers, names in lower case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(String, Vec<u8>)>);

impl Fields {
    /// Adds a header as a client or an endpoint would send it, whatever it is.
    pub(crate) fn arrive(&mut self, name: &str, value: &[u8]) {
        self.0.push((name.to_ascii_lowercase(), value.to_vec()));
    }

    pub(crate) fn first(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(existing, _)| existing.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }

    pub(crate) fn values(&self, name: &str) -> Vec<Vec<u8>> {
        let matching = self.0.iter().filter(|(existing, _)| existing.eq_ignore_ascii_case(name));
        matching.map(|(_, value)| value.clone()).collect()
    }

    /// All of them; values of one name are together and in order.
    pub(crate) fn all(&self) -> Vec<(String, Vec<u8>)> {
        let mut all = self.0.clone();
        all.sort_by_key(|(name, _)| self.0.iter().position(|(first, _)| first == name));
        all
    }

    pub(crate) fn set(&mut self, name: &str, value: &[u8]) -> Result<(), HeadError> {
        let mut changed = self.clone();
        changed.remove(name)?;
        changed.append(name, value)?;
        *self = changed;
        Ok(())
    }

    pub(crate) fn append(&mut self, name: &str, value: &[u8]) -> Result<(), HeadError> {
        check_name(name)?;
        if !value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..)) {
            return Err(HeadError::InvalidValue);
        }
        let bytes: usize = self.0.iter().map(|(name, value)| name.len() + value.len()).sum();
        if self.0.len() == FIELDS_MAX || bytes + name.len() + value.len() > FIELDS_BYTES_MAX {
            return Err(HeadError::TooLarge);
        }
        self.arrive(name, value);
        Ok(())
    }

    pub(crate) fn remove(&mut self, name: &str) -> Result<(), HeadError> {
        check_name(name)?;
        self.0.retain(|(existing, _)| !existing.eq_ignore_ascii_case(name));
        Ok(())
    }
}

/// A header name is a token (RFC 9110, sections 5.1 and 5.6.2).
pub(crate) fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn check_name(name: &str) -> Result<(), HeadError> {
    if !is_header_name(name) {
        return Err(HeadError::InvalidName);
    }
    if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
        return Err(HeadError::Reserved);
    }
    Ok(())
}

fn visible(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| text.to_owned())
}

/// Headers that belong to the host.
const RESERVED: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
const FIELDS_MAX: usize = 128;
const FIELDS_BYTES_MAX: usize = 64 << 10;
const REPLY_HEADERS_MAX: usize = 64;
const REPLY_BODY_BYTES_MAX: usize = 1 << 20;
