//! What clients are told of limits: the fields of draft-ietf-httpapi-ratelimit-headers-10, which are lists of strings with
//! parameters (RFC 9651).

use std::{fmt::Write, time::Duration};

use crate::{limit::Limit, rate::Standing};

/// The values of both fields for one response.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    /// `RateLimit-Policy`: each limit with its quota `q` and its window `w` in seconds.
    pub(crate) policy: String,
    /// `RateLimit`: each limit with what is left, `r`, and how many seconds until all of it is back, `t`.
    pub(crate) left: String,
}

impl Fields {
    /// One more limit, and how the client stands with it.
    pub(crate) fn add(&mut self, limit: &Limit, standing: &Standing) {
        let comma = if self.is_empty() { "" } else { ", " };
        self.policy.push_str(comma);
        self.policy.push_str(&limit.policy);
        // Writing to a string does not fail.
        let _ = write!(self.left, "{comma}\"{}\";r={};t={}", limit.name, standing.left, seconds(standing.full_in));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.policy.is_empty()
    }
}

/// In whole seconds, never less than it is.
pub(crate) fn seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}
