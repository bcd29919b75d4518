//! When a request that is slow to be answered is sent to another endpoint beside the first: `hedge` of an upstream.

use std::time::Duration;

use crate::{duration, text::Value};

/// `hedge` of an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hedge {
    /// The least time that the first endpoint has to itself.
    pub after: Duration,
    /// And not before so many of the answers of late would have come, in percent: 50 to 99.
    pub percentile: Option<u32>,
}

impl Hedge {
    pub(crate) fn read(value: &Value<'_>) -> Option<Self> {
        let mut table = value.table("a hedge")?;
        let after = table.required("after", duration::timeout);
        let percentile = table.optional("percentile", |value| value.whole(50..=99));
        table.finish();
        Some(Self { after: after?, percentile })
    }
}
