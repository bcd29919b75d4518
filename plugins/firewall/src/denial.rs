//! What a denied client gets, and how denials are counted.

use palisade_sdk::{Counter, Family, Flow, Reply};

use crate::settings::{Decision, Status};

/// The answer of a denial.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    status: Status,
    body: String,
}

impl Answer {
    /// An answer of plain text.
    pub(crate) fn new(status: Status, body: String) -> Self {
        Self { status, body }
    }

    /// This answer, but for the status or the text where they are given.
    pub(crate) fn with(&self, status: Option<Status>, body: Option<String>) -> Self {
        Self { status: status.unwrap_or(self.status), body: body.unwrap_or_else(|| self.body.clone()) }
    }

    /// What a request comes to by this decision.
    pub(crate) fn flow(&self, decision: Decision) -> Flow {
        match decision {
            Decision::Allow => Flow::Continue,
            Decision::Deny => Reply::status(self.status.0).text(self.body.as_str()).into(),
            Decision::Close => Flow::Close,
        }
    }
}

/// Denials for one reason, counted by the phase that denied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Denials {
    /// Requests that were answered, closed or reset.
    pub(crate) requests: Counter,
    /// Connections that were refused.
    pub(crate) connections: Counter,
}

impl Denials {
    /// Those for a reason: the name of a rule, or one of [`RESERVED`].
    pub(crate) fn of(reason: &str, family: &Family<Counter>) -> Self {
        Self { requests: family.with(&[reason, "request"]), connections: family.with(&[reason, "connection"]) }
    }
}

/// The lists `allow` and `deny` or their `default` denied the address.
pub(crate) const ADDRESSES: &str = "addresses";
/// The path has no one meaning.
pub(crate) const MALFORMED: &str = "malformed";
/// No rule decided.
pub(crate) const DEFAULT: &str = "default";

/// Reasons that no rule may be named after.
pub(crate) const RESERVED: [&str; 3] = [ADDRESSES, MALFORMED, DEFAULT];
