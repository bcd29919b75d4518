//! A whole answer.

use bytes::Bytes;
use http::{HeaderMap, Version};

/// An answer that came to its end.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The protocol that it came over.
    pub version: Version,
    /// As they came.
    pub headers: HeaderMap,
    /// All of it.
    pub body: Bytes,
    /// What came after the body.
    pub trailers: HeaderMap,
}

impl Reply {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap_or("not ASCII"))
    }

    /// All values of a header, in order.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("not ASCII")).collect()
    }

    /// The body as text.
    ///
    /// # Panics
    /// It is not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    /// The body as JSON: what an origin that echoes says of the request.
    ///
    /// # Panics
    /// It is not JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}
