//! What an origin answers, and what one that echoes answers to which path.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::Seen;

/// What an origin answers.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) trailers: Vec<(String, String)>,
    pub(super) body: Content,
    pub(super) held: bool,
    pub(super) delay: Duration,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    Whole(Bytes),
    Pattern { bytes: u64, announced: bool, until: Option<Until> },
    Echo,
}

/// What happens half way.
#[derive(Debug, Clone, Copy)]
pub(super) enum Until {
    Cut,
    Held,
}

impl Answer {
    /// This status, without a body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        let body = Content::Whole(Bytes::new());
        Self { status, headers: Vec::new(), trailers: Vec::new(), body, held: false, delay: Duration::ZERO }
    }

    /// 200 with this body.
    pub fn body(body: impl Into<Bytes>) -> Self {
        Self { body: Content::Whole(body.into()), ..Self::status(200) }
    }

    /// 200 with as many bytes of the pattern.
    fn pattern(bytes: u64, announced: bool, until: Option<Until>) -> Self {
        Self { body: Content::Pattern { bytes, announced, until }, ..Self::status(200) }
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With one more trailer, after a chunked body.
    #[must_use]
    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.into(), value.into()));
        self.header("trailer", name)
    }

    /// So much later.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Not before [`Origin::release`].
    #[must_use]
    pub fn held(mut self) -> Self {
        self.held = true;
        self
    }
}

/// What the module of origins says.
pub(super) fn by_path(seen: &Seen) -> Answer {
    let path = seen.target.split('?').next().unwrap_or_default();
    let mut words = path.trim_start_matches('/').split('/');
    let (word, number) = (words.next().unwrap_or_default(), words.next().and_then(|number| number.parse().ok()));
    match (word, number) {
        ("bytes", Some(bytes)) => Answer::pattern(bytes, true, None),
        ("chunked", Some(bytes)) => Answer::pattern(bytes, false, None),
        ("cut", Some(bytes)) => Answer::pattern(bytes * 2, true, Some(Until::Cut)),
        ("cut-chunked", Some(bytes)) => Answer::pattern(bytes * 2, false, Some(Until::Cut)),
        ("hold-body", Some(bytes)) => Answer::pattern(bytes * 2, true, Some(Until::Held)),
        ("hold-chunked", Some(bytes)) => Answer::pattern(bytes * 2, false, Some(Until::Held)),
        ("status", Some(status)) => Answer::status(u16::try_from(status).expect("a status")),
        ("trailers", None) => Answer::body("with trailers").trailer("x-sum", "42"),
        ("hold", _) => Answer::body(described(seen)).held(),
        _ => Answer::body(described(seen)).header("content-type", "application/json"),
    }
}

fn described(seen: &Seen) -> String {
    let headers = seen.headers.keys().map(|name| (name.to_string(), json!(seen.values(name.as_str()))));
    json!({
        "method": seen.method,
        "target": seen.target,
        "headers": headers.collect::<serde_json::Map<String, Value>>(),
        "body_bytes": seen.body_bytes,
        "body_sha256": seen.body_sha256,
    })
    .to_string()
}
