//! What an origin was asked.

use http::{HeaderMap, Version};

/// What an origin was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The version of HTTP that it was asked in.
    pub version: Version,
    /// The method's text.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// What the target says beside them: `:authority` of HTTP/2.
    pub authority: Option<String>,
    /// As they came.
    pub headers: HeaderMap,
    /// How long the body was; none while it is still coming, and where it broke off.
    pub body_bytes: Option<u64>,
    /// The SHA-256 of the body, in hexadecimal; empty as long as there is no `body_bytes`.
    pub body_sha256: String,
    /// What came after the body.
    pub trailers: HeaderMap,
}

impl Seen {
    pub(super) fn of(request: &http::request::Parts) -> Self {
        let target = request.uri.path_and_query().map(ToString::to_string);
        Self {
            version: request.version,
            method: request.method.to_string(),
            target: target.unwrap_or_default(),
            authority: request.uri.authority().map(ToString::to_string),
            headers: request.headers.clone(),
            body_bytes: None,
            body_sha256: String::new(),
            trailers: HeaderMap::new(),
        }
    }

    pub(super) fn of_raw(head: &[u8]) -> Self {
        let mut words = head.split(|byte| *byte == b' ').map(|word| String::from_utf8_lossy(word).into_owned());
        Self {
            version: Version::HTTP_11,
            method: words.next().unwrap_or_default(),
            target: words.next().unwrap_or_default(),
            authority: None,
            headers: HeaderMap::new(),
            body_bytes: None,
            body_sha256: String::new(),
            trailers: HeaderMap::new(),
        }
    }

    /// All values of a header, in order.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("not ASCII")).collect()
    }
}
