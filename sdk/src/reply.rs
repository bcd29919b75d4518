//! An answer in place of the upstream's.

use serde::Serialize;

use crate::{Error, HeadError, host};

/// An answer in place of the upstream's: status, headers and a body of at most 1 MiB.
///
/// The host adds `content-length` and `date`. What is wrong with a reply is found when the filter returns it, and then the
/// plugin has failed.
///
/// ```
/// use palisade_sdk::Reply;
///
/// let reply = Reply::status(429).header("retry-after", "1").text("too many requests\n");
/// # let _ = reply;
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    problem: Option<String>,
}

impl Reply {
    /// An empty answer with this status: 200 to 599.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), problem: None }
    }

    /// Adds a header: at most 64. `content-type` is there once, and the last one counts.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        if name.eq_ignore_ascii_case(CONTENT_TYPE) {
            self.headers.retain(|(existing, _)| !existing.eq_ignore_ascii_case(CONTENT_TYPE));
        }
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Sets the body, and `content-type` to `text/plain; charset=utf-8`.
    #[must_use]
    pub fn text(self, text: impl Into<String>) -> Self {
        self.header(CONTENT_TYPE, "text/plain; charset=utf-8").body(text.into())
    }

    /// Sets the body, and `content-type` to `application/json`.
    #[must_use]
    pub fn json(self, value: &impl Serialize) -> Self {
        let mut reply = self.header(CONTENT_TYPE, "application/json");
        match serde_json::to_vec(value) {
            Ok(body) => reply.body = body,
            Err(error) => reply.problem = Some(format!("the reply's body has no JSON form: {error}")),
        }
        reply
    }

    /// Sets the body: at most 1 MiB.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Hands the reply to the host.
    pub(crate) fn prepare(self, exchange: u64) -> Result<(), Error> {
        if let Some(problem) = self.problem {
            return Err(Error::new(problem));
        }
        host::reply::prepare(exchange, self.status, &self.headers, &self.body)
            .map_err(|error| Error::new(format!("the reply was refused: {}", reason(error.into()))))
    }
}

fn reason(error: HeadError) -> &'static str {
    match error {
        HeadError::InvalidName => "it has a header whose name is not one",
        HeadError::InvalidValue => "its status is not 200 to 599, or the value of a header is not one",
        HeadError::Reserved => "it has a header that belongs to the host",
        HeadError::TooLarge => "it has more than 64 headers or more than 1 MiB of body",
        HeadError::ReadOnly => "there can be no reply in this phase",
    }
}

const CONTENT_TYPE: &str = "content-type";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_content_type_is_there_once_and_the_last_counts() {
        check(Reply::status(200).text("x"), &[("content-type", "text/plain; charset=utf-8")]);
        check(Reply::status(200).text("x").header("Content-Type", "text/html"), &[("Content-Type", "text/html")]);
        check(Reply::status(200).json(&1), &[("content-type", "application/json")]);
        check(Reply::status(200).header("a", "1").header("a", "2"), &[("a", "1"), ("a", "2")]);
    }

    #[test]
    fn a_body_without_a_json_form_fails_when_the_reply_is_sent() {
        let not_json = BTreeMap::from([(vec![1], 2)]);
        let error = Reply::status(200).json(&not_json).prepare(0).unwrap_err();
        assert_eq!(error.to_string(), "the reply's body has no JSON form: key must be a string");
    }

    #[track_caller]
    fn check(reply: Reply, headers: &[(&str, &str)]) {
        let headers: Vec<_> = headers.iter().map(|(n, v)| (n.to_string(), v.as_bytes().to_vec())).collect();
        assert_eq!(reply.headers, headers);
    }
}
